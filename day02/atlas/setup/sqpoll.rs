//! SQPOLL: a thread of the kernel looks at the submission queue.
//!
//! Since 5.1; for users with CAP_SYS_NICE since 5.11, for every user since 5.13.
//! `params.sq_thread_idle` says after how many milliseconds without work it sleeps (0: a second).
//! liburing: `io_uring_queue_init_params`; crate: `Builder::setup_sqpoll`.
//! While the thread is awake, a submit takes no system call. Asleep, it sets
//! `IORING_SQ_NEED_WAKEUP` and waits for an enter with `IORING_ENTER_SQ_WAKEUP`. It burns a CPU
//! while it is awake.

use std::io;
use std::thread;

use atlas::{Entry, Page, Result, Where, raw};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::flag;
use crate::look;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_SETUP_SQPOLL", "IORING_SQ_NEED_WAKEUP", "IORING_ENTER_SQ_WAKEUP"],
    show,
};

/// Milliseconds until the poller sleeps.
const IDLE: u32 = 20;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_sqpoll(IDLE).build(4);
    let Some(mut ring) = polled(page, "SQPOLL, idle 20 ms", built)? else { return Ok(()) };
    let pollers = look::threads("iou-sqp-")?;
    page.saw("the process has a thread named iou-sqp-…", !pollers.is_empty())?;
    let poller = look::poller(&ring)?;
    page.saw("/proc/self/fdinfo names it", poller.is_none_or(|number| pollers.contains(&number)))?;

    while wakes_for_a_nop(&mut ring)? > 0 {} // It slept: try again while it is awake.
    page.note("a NOP while it is awake", "completed without a system call");
    asleep(&mut ring)?;
    page.note("20 ms without work", "IORING_SQ_NEED_WAKEUP is set");
    page.saw("a NOP is not seen now: the queue is only memory", !sees_a_nop(&mut ring)?)?;
    while ring.completion().is_empty() {
        ring.submit()?; // It looks at the flag, and wakes.
    }
    page.note("an enter with SQ_WAKEUP", "the NOP completed");

    let why = "the poller runs the completions: no other thread could be interrupted for them";
    let flags = flag("SQPOLL") | flag("COOP_TASKRUN");
    page.call_refused("SQPOLL, COOP_TASKRUN", raw::ring(4, flags), Errno::EINVAL, why)?;
    let flags = flag("SQPOLL") | flag("SINGLE_ISSUER") | flag("DEFER_TASKRUN");
    page.call_refused("SQPOLL, DEFER_TASKRUN", raw::ring(4, flags), Errno::EINVAL, why)
}
// ANCHOR_END: show

/// A ring with a poller that runs; `None` if this kernel allows it only for root.
pub(super) fn polled(
    page: &mut Page,
    asked: &str,
    built: io::Result<IoUring>,
) -> Result<Option<IoUring>> {
    if matches!(&built, Err(error) if error.raw_os_error() == Some(libc::EPERM)) {
        let why = "before Linux 5.13, SQPOLL takes CAP_SYS_NICE (before 5.11, CAP_SYS_ADMIN)";
        page.cannot("IORING_SETUP_SQPOLL", why, Where::Root)?;
        return Ok(None);
    }
    let mut ring = page.call(asked, built)?;
    // Only when it has completed an entry is it certain that the thread runs, and where.
    // SAFETY: a NOP points at no memory.
    unsafe { page.ask("NOP", &mut ring, opcode::Nop::new().build()) }?;
    Ok(Some(ring))
}

/// How many calls it took to complete a NOP.
fn wakes_for_a_nop(ring: &mut IoUring) -> Result<u32> {
    push_nop(ring)?;
    let mut wakes = 0;
    while ring.completion().next().is_none() {
        if ring.submission().need_wakeup() {
            ring.submit()?;
            wakes += 1;
        }
        thread::yield_now();
    }
    Ok(wakes)
}

/// Waits until the poller says that it sleeps.
fn asleep(ring: &mut IoUring) -> Result<()> {
    while !ring.submission().need_wakeup() {
        thread::yield_now();
    }
    Ok(())
}

/// Whether a poller that says it sleeps sees a NOP. The poller looks once more after it said so,
/// and may just see it: then this asks again.
fn sees_a_nop(ring: &mut IoUring) -> Result<bool> {
    for _ in 0..100 {
        push_nop(ring)?;
        for _ in 0..1000 {
            thread::yield_now();
        }
        if ring.completion().next().is_none() {
            return Ok(false);
        }
        asleep(ring)?;
    }
    Ok(true)
}

fn push_nop(ring: &mut IoUring) -> Result<()> {
    // SAFETY: a NOP points at no memory.
    Ok(unsafe { ring.submission().push(&opcode::Nop::new().build()) }?)
}
