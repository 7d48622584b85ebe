//! wake_the_poller: a kernel thread that takes the entries by itself, and
//! sleeps.
//!
//! `wake_the_poller BURST FIRST` sends BURST NOPs one after the other, waits so
//! long that an idle thread falls asleep, and sends another BURST; their
//! `user_data` counts up from FIRST. This starter enters the kernel for each of
//! them. Have a kernel thread poll the submission queue (SQPOLL): then the
//! program enters only to wake it when it sleeps.
//!
//! Run it: `cargo run --bin wake_the_poller -- 40 1000`

use std::env;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode};

/// Milliseconds without work until the thread sleeps.
const IDLE: u32 = 50;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let burst: u64 =
        args.next().context("usage: wake_the_poller BURST FIRST")?.parse()?;
    let first: u64 =
        args.next().context("usage: wake_the_poller BURST FIRST")?.parse()?;

    // TODO: a ring with a thread that polls the submission queue, and sleeps
    // after IDLE ms.
    let mut ring = IoUring::builder().build(256)?;
    for tag in first..first + burst {
        nop(&mut ring, tag)?;
    }
    // A pause of ten times the thread's idle time, so that it falls asleep.
    thread::sleep(Duration::from_millis(10 * u64::from(IDLE)));
    for tag in first + burst..first + 2 * burst {
        nop(&mut ring, tag)?;
    }
    Ok(())
}

/// Sends a NOP and takes its completion.
fn nop(ring: &mut IoUring, tag: u64) -> Result<()> {
    let entry = opcode::Nop::new().build().user_data(tag);
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&entry) }?;

    // TODO: no enter while the thread is awake. Look at the completion queue,
    // which is memory, until the completion is there.
    ring.submit_and_wait(1)?;
    let completion =
        ring.completion().next().context("a wait without a completion")?;
    ensure!(completion.user_data() == tag, "a completion of another NOP");
    Ok(())
}
