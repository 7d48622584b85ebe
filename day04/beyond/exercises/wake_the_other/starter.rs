//! wake_the_other: two threads wake each other by messages.
//!
//! `wake_the_other NUMBER…` sends each number to a second thread, which prints
//! it. When a number is printed, the main thread sends the next one.
//!
//! Run it: `cargo run --bin wake_the_other -- 5 7 9`

use std::env;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::{Context, Result};
use io_uring::IoUring;

/// Sent after the last number.
const END: u64 = 0;
/// The word's value while it holds no number.
const NOTHING: u64 = u64::MAX;

/// TODO: remove this; send the number by a message.
static WORD: AtomicU64 = AtomicU64::new(NOTHING);

fn main() -> Result<()> {
    let numbers = env::args().skip(1).map(|arg| arg.parse());
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
    let ring = IoUring::new(8)?;
    let here = ring.as_raw_fd();
    let (tell, told) = mpsc::channel();
    let printer = thread::spawn(move || print_all(here, &tell));
    let _there = told.recv().context("the other thread has failed")?;
    for number in numbers {
        // TODO: a MSG_RING to `there`, and wait in the ring for the answer.
        WORD.store(number, Ordering::Release);
        while WORD.load(Ordering::Acquire) != NOTHING {
            thread::yield_now();
        }
    }
    WORD.store(END, Ordering::Release);
    printer.join().expect("it does not panic")
}

/// Prints the numbers from the main thread, whose ring is `back`.
fn print_all(_back: RawFd, tell: &Sender<RawFd>) -> Result<()> {
    let ring = IoUring::new(8)?;
    tell.send(ring.as_raw_fd())?;
    loop {
        // TODO: wait in the ring for a message.
        match WORD.load(Ordering::Acquire) {
            NOTHING => thread::yield_now(),
            END => return Ok(()),
            number => {
                println!("{number}");
                // TODO: a MSG_RING to `back`.
                WORD.store(NOTHING, Ordering::Release);
            }
        }
    }
}
