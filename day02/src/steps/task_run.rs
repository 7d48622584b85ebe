//! When completions are delivered, and by whom.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;

use anyhow::Result;
use common::catalog::SETUP_FLAGS;
use common::environment::errno_name;
use common::ring::{self, Granted, RingOptions, SetupFlags};
use io_uring::{IoUring, opcode, types};

use super::{ENTRIES, interruptible, refused};
use crate::report::Step;

// ANCHOR: task_run
/// An operation that had to wait is finished by the program's own thread, inside the kernel.
/// The flags say when: at any system call, or not before the program waits for completions.
pub fn task_run() -> Result<Step> {
    let none = SetupFlags::default();
    let single = SetupFlags { single_issuer: true, ..none };
    let asks = [
        ("no flag", none),
        ("COOP_TASKRUN", SetupFlags { coop_taskrun: true, ..none }),
        ("SINGLE_ISSUER", single),
        ("SINGLE_ISSUER, DEFER_TASKRUN", SetupFlags { defer_taskrun: true, ..single }),
        ("DEFER_TASKRUN alone", SetupFlags { defer_taskrun: true, ..none }),
    ];
    let mut step = Step::new("When completions come: a poll waits on a socket, and a byte arrives");
    let options = RingOptions::default();
    for (asked, flags) in asks {
        match ring::build(&options, ENTRIES, flags) {
            Ok(mut ring) => {
                let newest = SETUP_FLAGS.set_in(Granted::of(&ring).flags).last();
                let since = newest.map_or(String::new(), |flag| format!("since {}: ", flag.since));
                let (enters, delivered) = deliver(&mut ring)?;
                step.submit(asked, enters, since + delivered);
            }
            Err(error) => step.ask(asked, refused(&options, flags, &error)),
        }
    }
    if let Ok(mut ring) = ring::build(&options, ENTRIES, single) {
        step.submit("SINGLE_ISSUER, two threads", 1, submit_elsewhere(&mut ring)?);
    }
    Ok(step)
}

// ANCHOR: deliver
fn deliver(ring: &mut IoUring) -> Result<(u32, &'static str)> {
    let (ours, theirs) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), libc::POLLIN as u32);
    // SAFETY: the entry points at no memory; the kernel holds the socket itself.
    unsafe { ring.submission().push(&poll.build()) }?;
    interruptible(ring.submit())?;
    (&theirs).write_all(b"!")?;

    interruptible(ring.submit())?;
    if !ring.completion().is_empty() {
        return Ok((2, "there after a plain submit"));
    }
    let mut enters = 2;
    while ring.completion().is_empty() {
        enters += interruptible(ring.submit_and_wait(1))?;
    }
    Ok((enters, "not after a submit; after a wait"))
}
// ANCHOR_END: deliver

fn submit_elsewhere(ring: &mut IoUring) -> Result<String> {
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
    let ring = &*ring;
    let submitted = thread::scope(|scope| scope.spawn(|| ring.submit()).join());
    Ok(match submitted.expect("submitting does not panic") {
        Ok(_) => "submitted by the other".to_string(),
        Err(error) => format!("{}: the ring is the first one's", errno_name(&error)),
    })
}
// ANCHOR_END: task_run
