//! The walk: one function a step.

use std::io;
use std::thread;

use anyhow::Result;
use common::environment::{self, Refusal, errno_name};
use common::ring;
use io_uring::{EnterFlags, IoUring, Submitter, opcode};

use crate::report::Section;

mod poller;
mod registered;
mod slots;
mod task_run;

pub use self::poller::poller;
pub use self::registered::{registered_ring, show_registered_ring};
pub use self::slots::slots;
pub use self::task_run::task_run;

/// Submission queue entries, where a step is about something else.
const ENTRIES: u32 = 8;

/// The words of a row, and the call that asks the kernel for it.
type Ask = (&'static str, fn() -> io::Result<IoUring>);

// ANCHOR: sizes
/// The kernel rounds sizes up to powers of two, and writes the results into the parameters.
/// The completion queue is twice the submission queue, unless CQSIZE asks for more.
pub fn sizes() -> Section {
    let asks: [Ask; 6] = [
        ("5 entries", || IoUring::builder().build(5)),
        ("5 entries, CQSIZE 100", || IoUring::builder().setup_cqsize(100).build(5)),
        ("5 entries, CQSIZE 2", || IoUring::builder().setup_cqsize(2).build(5)),
        ("0 entries", || IoUring::builder().build(0)),
        ("40000 entries", || IoUring::builder().build(40_000)),
        ("40000 entries, CLAMP", || IoUring::builder().setup_clamp().build(40_000)),
    ];
    let mut step = Section::new("Sizes: rounded up to powers of two, and bounded");
    for (asked, build) in asks {
        let answer = match ring_or_why(asked, build) {
            Ok(ring) => {
                let granted = ring.params();
                format!("{}, and {} completions", granted.sq_entries(), granted.cq_entries())
            }
            Err(refused) => refused,
        };
        step.row(asked, answer);
    }
    step
}
// ANCHOR_END: sizes

/// The ring that `build` asks the kernel for; or the kernel's answer, and the rule behind it.
fn ring_or_why(asked: &str, build: impl Fn() -> io::Result<IoUring>) -> Result<IoUring, String> {
    let (options, flags) = ring::in_words(asked);
    ring::patiently(&options, ENTRIES, flags, build).map_err(|error| {
        let refusal = ring::refusal(&options, ENTRIES, flags, &error);
        format!("{}: {}", errno_name(&error), refusal.why)
    })
}

/// A ring for a step that is about something else.
pub fn plain_ring() -> Result<IoUring, Refusal> {
    let (options, flags) = Default::default();
    ring::patiently(&options, ENTRIES, flags, || IoUring::builder().build(ENTRIES))
        .map_err(|error| ring::refusal(&options, ENTRIES, flags, &error))
}

/// Sends a NOP and waits for its completion. Returns how many `io_uring_enter` it took: one,
/// or none with a poller that is awake.
pub fn nop(ring: &mut IoUring) -> Result<u32> {
    let polled = ring.params().is_setup_sqpoll();
    let (submitter, mut sq, mut cq) = ring.split();
    // SAFETY: a NOP points at no memory.
    unsafe { sq.push(&opcode::Nop::new().build()) }?;
    sq.sync();
    let mut enters = 0;
    while cq.next().is_none() {
        if !polled {
            enters += interruptible(submitter.submit_and_wait(1))?;
        } else if sq.need_wakeup() {
            // `submit` looks at the flag as well, but does not say whether it made the call.
            enters += wake(&submitter)?;
        } else {
            thread::yield_now();
        }
        cq.sync();
    }
    Ok(enters)
}
/// Wakes the poller and waits for a completion: one `io_uring_enter`.
fn wake(submitter: &Submitter<'_>) -> Result<u32, Refusal> {
    let flags = EnterFlags::SQ_WAKEUP | EnterFlags::GETEVENTS;
    // SAFETY: without an argument, the kernel reads no memory of ours but the queues.
    interruptible(unsafe { submitter.enter::<libc::sigset_t>(1, 1, flags.bits(), None) })
}

/// One `io_uring_enter` was made. A signal, or a stop and continue, may have ended its wait:
/// the caller looks whether its completion is there, and waits again.
fn interruptible(entered: io::Result<usize>) -> Result<u32, Refusal> {
    match entered {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => {
            Err(environment::explain("io_uring_enter", &error))
        }
        _ => Ok(1),
    }
}

/// What this kernel lacks is a row like any other, and the walk goes on.
fn or_say_why(step: &mut Section, asked: &str, shown: Result<()>) -> Result<()> {
    match shown.map_err(|error| error.downcast::<Refusal>()) {
        Ok(()) => Ok(()),
        Err(Ok(refusal)) => {
            step.row(asked, refusal.why);
            Ok(())
        }
        Err(Err(error)) => Err(error),
    }
}
