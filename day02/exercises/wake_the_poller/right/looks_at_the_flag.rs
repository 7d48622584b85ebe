// Another way: the flag is looked at by hand, and the wait in the kernel kept for a sleeper.

use std::env;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode};

/// Milliseconds without work until the thread sleeps.
const IDLE: u32 = 50;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let burst: u64 = args.next().context("usage: wake_the_poller BURST FIRST")?.parse()?;
    let first: u64 = args.next().context("usage: wake_the_poller BURST FIRST")?.parse()?;

    let mut ring = IoUring::builder().setup_sqpoll(IDLE).build(256)?;
    for tag in first..first + burst {
        nop(&mut ring, tag)?;
    }
    // Nothing to do for ten times as long as it takes the thread to fall asleep.
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
    if ring.submission().need_wakeup() {
        ring.submit_and_wait(1)?;
    }
    let completion = loop {
        if let Some(completion) = ring.completion().next() {
            break completion;
        }
        std::hint::spin_loop();
        if ring.submission().need_wakeup() {
            ring.submit()?;
        }
    };
    ensure!(completion.user_data() == tag, "a completion of another NOP");
    Ok(())
}
