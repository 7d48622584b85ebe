//! The walk: one function a step.

use std::io;
use std::thread;

use anyhow::Result;
use common::environment::{self, Refusal, errno_name};
use common::ring::{self, Granted, RingOptions, SetupFlags};
use io_uring::{EnterFlags, IoUring, Submitter, opcode};

use crate::report::Step;

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

// ANCHOR: sizes
/// The kernel rounds sizes up to powers of two, and writes what it made of them into the
/// parameters. The completion queue is twice the submission queue, unless CQSIZE says more.
pub fn sizes() -> Step {
    let mut step = Step::new("Sizes: rounded up to powers of two, and bounded");
    let asks = [
        ("5 entries", 5, None, false),
        ("5 entries, CQSIZE 100", 5, Some(100), false),
        ("5 entries, CQSIZE 2", 5, Some(2), false),
        ("0 entries", 0, None, false),
        ("40000 entries", 40_000, None, false),
        ("40000 entries, CLAMP", 40_000, None, true),
    ];
    for (asked, entries, cq_entries, clamp) in asks {
        let options = RingOptions { entries: Some(entries), cq_entries, ..Default::default() };
        let flags = SetupFlags { clamp, ..Default::default() };
        match ring::build(&options, ENTRIES, flags) {
            Ok(ring) => {
                let Granted { sq_entries, cq_entries, .. } = Granted::of(&ring);
                step.ask(asked, format!("{sq_entries}, and {cq_entries} completions"));
            }
            Err(error) => step.ask(asked, refused(&options, flags, &error)),
        }
    }
    step
}
// ANCHOR_END: sizes

// ANCHOR: nop
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
            // `submit` looks at the flag as well, but does not tell whether it made the call.
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
// ANCHOR_END: nop

/// A ring for a step that is about something else.
pub fn plain_ring() -> Result<IoUring, Refusal> {
    let (options, flags) = Default::default();
    ring::build(&options, ENTRIES, flags)
        .map_err(|error| ring::refusal(&options, ENTRIES, flags, &error))
}

/// The kernel's answer, and the rule behind it.
fn refused(options: &RingOptions, flags: SetupFlags, error: &io::Error) -> String {
    format!("{}: {}", errno_name(error), ring::refusal(options, ENTRIES, flags, error).why)
}

/// What this kernel lacks is a row like any other, and the walk goes on.
fn or_say_why(step: &mut Step, asked: &str, shown: Result<()>) -> Result<()> {
    match shown.map_err(|error| error.downcast::<Refusal>()) {
        Ok(()) => Ok(()),
        Err(Ok(refusal)) => {
            step.ask(asked, refusal.why);
            Ok(())
        }
        Err(Err(error)) => Err(error),
    }
}
