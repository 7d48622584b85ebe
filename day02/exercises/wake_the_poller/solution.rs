//! wake_the_poller: a kernel thread that takes the entries by itself, and
//! sleeps.
//!
//! `wake_the_poller BURST FIRST` sends BURST NOPs one after the other, waits so
//! long that an idle thread falls asleep, and sends another BURST; their
//! `user_data` counts up from FIRST. A kernel thread takes the entries
//! (SQPOLL), so the program enters only to wake it.
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

    let mut ring = IoUring::builder().setup_sqpoll(IDLE).build(256)?;
    //                                ^^^^^^^^^^^^^^^^^^
    // SQPOLL with an idle time; without one the thread sleeps after 1 s
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
    ring.submit()?;
    // ^^^^^^^^^^ on a polled ring it looks at the flag IORING_SQ_NEED_WAKEUP,
    //            and enters only if the thread sleeps. A sleeping thread does
    //            not see a push
    let completion = loop {
        if let Some(completion) = ring.completion().next() {
            //                    ^^^^^^^^^^^^^^^^^^^^^^^^
            // a look at memory, each time at the kernel's newest tail
            break completion;
        }
        thread::yield_now();
        //      ^^^^^^^^^ so that the thread can run if both share one CPU
    };
    ensure!(completion.user_data() == tag, "a completion of another NOP");
    Ok(())
}
