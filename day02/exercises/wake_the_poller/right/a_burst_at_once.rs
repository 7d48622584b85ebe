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

    let mut ring = IoUring::builder().setup_sqpoll(IDLE).build(256)?;
    send(&mut ring, first, burst)?;
    // Nothing to do for ten times as long as it takes the thread to fall asleep.
    thread::sleep(Duration::from_millis(10 * u64::from(IDLE)));
    send(&mut ring, first + burst, burst)?;
    Ok(())
}

/// Sends NOPs and takes their completions.
fn send(ring: &mut IoUring, first: u64, count: u64) -> Result<()> {
    for tag in first..first + count {
        // SAFETY: a NOP points at no memory.
        unsafe {
            ring.submission().push(&opcode::Nop::new().build().user_data(tag))
        }?;
    }
    ring.submit()?;
    let mut come = 0;
    while come < count {
        come += ring.completion().count() as u64;
        std::hint::spin_loop();
    }
    ensure!(come == count, "too many");
    Ok(())
}
