//! The submission queue, polled by a thread of the kernel.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use common::environment;
use io_uring::{IoUring, opcode};

use super::{ENTRIES, nop, ring_or_why, wake};
use crate::report::Section;

/// Milliseconds until the poller sleeps: long enough to submit while it is awake.
const IDLE: u32 = 100;

/// With SQPOLL a thread of the kernel looks at the submission queue. While it is awake, a
/// submission takes no system call. After an idle time without work it sleeps, and says so in
/// the queue's flags: then it takes one call to wake it.
pub fn poller() -> Result<Section> {
    let mut step = Section::new("SQPOLL: a thread of the kernel submits");
    match polled_ring() {
        Ok((asked, mut ring)) => {
            step.row(asked, "granted");
            awake(&mut step, &mut ring)?;
            asleep(&mut step, &mut ring)?;
        }
        Err(refused) => step.row("SQPOLL", refused),
    }
    Ok(step)
}

// ANCHOR: setup
/// A ring whose poller is bound to a CPU: the last one that we may use, because interrupts and
/// other work tend to run on the first.
fn polled_ring() -> Result<(String, IoUring), String> {
    let mut builder = IoUring::builder();
    builder.setup_sqpoll(IDLE);
    for cpu in environment::online_cpus().into_iter().rev() {
        if let Ok(ring) = builder.clone().setup_sqpoll_cpu(cpu).build(ENTRIES) {
            return Ok((format!("SQPOLL, idle {IDLE} ms, CPU {cpu}"), ring));
        }
    }
    let asked = format!("SQPOLL, idle {IDLE} ms");
    ring_or_why(&asked, || builder.build(ENTRIES)).map(|ring| (asked.clone(), ring))
}
// ANCHOR_END: setup

fn awake(step: &mut Section, ring: &mut IoUring) -> Result<()> {
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
        step.row_with_enters("a NOP before that", late, "it slept: woken, and the NOP completed");
    }
    step.row_with_enters("a NOP while it is awake", 0, "completed");
    Ok(())
}

// ANCHOR: asleep
fn asleep(step: &mut Section, ring: &mut IoUring) -> Result<()> {
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
        // The poller raises the flag, looks once more, and then sleeps. If our NOP came just in
        // time for that look, the poller was not asleep yet.
        if cq.next().is_none() {
            break;
        }
    }
    step.row("nothing, for that time", "it sleeps: IORING_SQ_NEED_WAKEUP");
    step.row_with_enters("a NOP while it sleeps", 0, "unseen: the queue is only memory");
    let mut enters = 0;
    while cq.is_empty() {
        enters += wake(&submitter)?;
        cq.sync();
    }
    step.row_with_enters("an enter with SQ_WAKEUP", enters, "woken, and the NOP completed");
    Ok(())
}
// ANCHOR_END: asleep
