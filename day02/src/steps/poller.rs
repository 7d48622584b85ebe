//! The submission queue, polled by a thread of the kernel.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use common::environment;
use common::ring::{self, RingOptions, SetupFlags};
use io_uring::{IoUring, opcode};

use super::{ENTRIES, nop, refused, wake};
use crate::report::Step;

/// Milliseconds until the poller sleeps: long enough to be met awake.
const IDLE: u32 = 100;

// ANCHOR: poller
/// With SQPOLL a thread of the kernel looks at the submission queue. While it is awake, a
/// submission takes no system call. After an idle time without work it sleeps, and says so in
/// the queue's flags: then it takes one call to wake it.
pub fn poller() -> Result<Step> {
    let mut step = Step::new("SQPOLL: a thread of the kernel submits");
    match polled_ring() {
        Ok((asked, mut ring)) => {
            step.ask(asked, "granted");
            awake(&mut step, &mut ring)?;
            asleep(&mut step, &mut ring)?;
        }
        Err(refused) => step.ask("SQPOLL", refused),
    }
    let alone = idle_time_alone()
        .unwrap_or_else(|error| refused(&RingOptions::default(), SetupFlags::default(), &error));
    step.ask(format!("idle {IDLE} ms, no SQPOLL"), alone);
    Ok(step)
}

/// A ring whose poller is bound to a CPU: to the last one that the kernel lets us have, since
/// interrupts and other work tend to be on the first.
fn polled_ring() -> Result<(String, IoUring), String> {
    let options = RingOptions { sqpoll: true, sq_idle: Some(IDLE), ..Default::default() };
    let flags = SetupFlags::default();
    for cpu in environment::online_cpus().into_iter().rev() {
        let bound = RingOptions { sq_cpu: Some(cpu), ..options.clone() };
        if let Ok(ring) = ring::build(&bound, ENTRIES, flags) {
            return Ok((format!("SQPOLL, idle {IDLE} ms, CPU {cpu}"), ring));
        }
    }
    match ring::build(&options, ENTRIES, flags) {
        Ok(ring) => Ok((format!("SQPOLL, idle {IDLE} ms"), ring)),
        Err(error) => Err(refused(&options, flags, &error)),
    }
}

fn awake(step: &mut Step, ring: &mut IoUring) -> Result<()> {
    // A new thread that finds nothing to do may sleep at once. On a busy machine it may also
    // be asleep again before we are here.
    let mut late = 0;
    loop {
        match nop(ring)? {
            0 => break,
            enters => late += enters,
        }
    }
    if late > 0 {
        step.submit("a NOP before that", late, "it slept: woken, and the NOP completed");
    }
    step.submit("a NOP while it is awake", 0, "completed");
    Ok(())
}

// ANCHOR: asleep
fn asleep(step: &mut Step, ring: &mut IoUring) -> Result<()> {
    let (submitter, mut sq, mut cq) = ring.split();
    loop {
        while !sq.need_wakeup() {
            thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: a NOP points at no memory.
        unsafe { sq.push(&opcode::Nop::new().build()) }?;
        sq.sync();
        thread::sleep(Duration::from_millis(IDLE.into()));
        cq.sync();
        // Between raising the flag and sleeping it looks once more. If our NOP was just in
        // time for that, it was not asleep yet.
        if cq.next().is_none() {
            break;
        }
    }
    step.ask("nothing, for that time", "it sleeps: IORING_SQ_NEED_WAKEUP");
    step.submit("a NOP while it sleeps", 0, "unseen: the queue is only memory");
    let mut enters = 0;
    while cq.is_empty() {
        enters += wake(&submitter)?;
        cq.sync();
    }
    step.submit("an enter with SQ_WAKEUP", enters, "woken, and the NOP completed");
    Ok(())
}
// ANCHOR_END: asleep
// ANCHOR_END: poller

/// Sets `sq_thread_idle` without SQPOLL. The crate sets both or none of them, so the system
/// call is made by hand.
fn idle_time_alone() -> io::Result<String> {
    // `struct io_uring_params` is 30 words (`linux/io_uring.h`), these among them.
    const FLAGS: usize = 2;
    const SQ_THREAD_IDLE: usize = 4;
    let mut params = [0u32; 30];
    params[SQ_THREAD_IDLE] = IDLE;
    // SAFETY: the kernel reads and writes the 120 bytes of `params` before it returns.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    if ring < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor, which nobody else closes.
    drop(unsafe { OwnedFd::from_raw_fd(ring as i32) });
    Ok(format!("flags {:#x}: no thread, so it does nothing", params[FLAGS]))
}
