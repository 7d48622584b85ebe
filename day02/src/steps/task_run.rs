//! When completions come, and for which thread.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use common::catalog::SETUP_FLAGS;
use common::environment::errno_name;
use common::ring::Granted;
use io_uring::{IoUring, opcode, types};

use super::{Ask, ENTRIES, interruptible, ring_or_why};
use crate::report::Section;

/// How long the program looks for a completion after the byte has arrived. An interrupt comes
/// much sooner: the scheduler's clock alone ticks a hundred times a second or more.
const PATIENCE: Duration = Duration::from_millis(200);

/// An operation that had to wait is finished by the program's own thread, inside the kernel.
/// The flags say when: as soon as possible, at the next interrupt or system call, or not before
/// the program waits for completions.
pub fn task_run() -> Result<Section> {
    // ANCHOR: asks
    let asks: [Ask; 5] = [
        ("no flag", || IoUring::builder().build(ENTRIES)),
        ("COOP_TASKRUN", || IoUring::builder().setup_coop_taskrun().build(ENTRIES)),
        ("SINGLE_ISSUER", || IoUring::builder().setup_single_issuer().build(ENTRIES)),
        ("SINGLE_ISSUER, DEFER_TASKRUN", || {
            IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(ENTRIES)
        }),
        ("DEFER_TASKRUN alone", || IoUring::builder().setup_defer_taskrun().build(ENTRIES)),
    ];
    // ANCHOR_END: asks
    let mut step =
        Section::new("When completions come: a poll waits on a socket, and a byte arrives");
    for (asked, build) in asks {
        match ring_or_why(asked, build) {
            Ok(mut ring) => {
                let newest = SETUP_FLAGS.set_in(Granted::of(&ring).flags).last();
                let since = newest.map_or(String::new(), |flag| format!("since {}: ", flag.since));
                let (enters, delivered) = deliver(&mut ring)?;
                step.row_with_enters(asked, enters, since + delivered);
            }
            Err(refused) => step.row(asked, refused),
        }
    }
    two_threads(&mut step);
    Ok(step)
}

/// Polls a socket, and says what it took to see the completion.
fn deliver(ring: &mut IoUring) -> Result<(u32, &'static str)> {
    let (ours, theirs) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), libc::POLLIN as u32);
    // SAFETY: the entry points at no memory; the kernel holds the socket itself.
    unsafe { ring.submission().push(&poll.build()) }?;
    interruptible(ring.submit())?;

    if is_seen_by_spinning(ring, &theirs)? {
        return Ok((1, "seen without a call"));
    }
    interruptible(ring.submit())?;
    if !ring.completion().is_empty() {
        return Ok((2, "there after a plain submit"));
    }
    let mut enters = 2;
    while ring.completion().is_empty() {
        enters += interruptible(ring.submit_and_wait(1))?;
    }
    Ok((enters, "not seen; only a wait brings it"))
}

// ANCHOR: spin
/// Lets another thread write the byte, and looks at the completion queue, which is memory. This
/// thread makes no system call meanwhile.
fn is_seen_by_spinning(ring: &mut IoUring, mut theirs: &UnixStream) -> Result<bool> {
    let (ready, written) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !ready.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let result = theirs.write_all(b"!");
            written.store(true, Ordering::Release);
            result
        });
        ready.store(true, Ordering::Release);
        let mut since = None;
        let seen = loop {
            let late = since.is_some_and(|since: Instant| since.elapsed() > PATIENCE);
            let seen = !ring.completion().is_empty();
            if seen || late {
                break seen;
            }
            if since.is_none() && written.load(Ordering::Acquire) {
                since = Some(Instant::now());
            }
        };
        writer.join().expect("it does not panic")?;
        Ok(seen)
    })
}
// ANCHOR_END: spin

// ANCHOR: two_threads
/// A ring with SINGLE_ISSUER belongs to one thread: to the one that makes it; with R_DISABLED, to
/// the one that enables it.
fn two_threads(step: &mut Section) {
    if let Ok(mut ring) = IoUring::builder().setup_single_issuer().build(ENTRIES) {
        let other = on_another_thread(|| submit_nop(&mut ring));
        step.row_with_enters("SINGLE_ISSUER, two threads", 1, format!("the other: {other}"));
    }
    let mut builder = IoUring::builder();
    if let Ok(mut ring) = builder.setup_single_issuer().setup_r_disabled().build(ENTRIES) {
        let other = on_another_thread(|| match ring.submitter().register_enable_rings() {
            Ok(()) => submit_nop(&mut ring),
            Err(error) => errno_name(&error),
        });
        let maker = submit_nop(&mut ring);
        let answers = format!("the maker: {maker}; its enabler: {other}");
        step.row_with_enters("SINGLE_ISSUER, R_DISABLED", 2, answers);
    }
}

fn submit_nop(ring: &mut IoUring) -> String {
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }.expect("a queue with room");
    ring.submit().map_or_else(|error| errno_name(&error), |_| "submitted".to_string())
}

fn on_another_thread<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(call).join()).expect("it does not panic")
}
// ANCHOR_END: two_threads
