//! wake_the_other: two threads wake each other by messages.
//!
//! `wake_the_other NUMBER…` sends each number to a second thread, which prints
//! it. When a number is printed, the main thread sends the next one.
//!
//! Run it: `cargo run --bin wake_the_other -- 5 7 9`

use std::env;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::{Context, Result};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

/// Sent after the last number.
const END: u64 = 0;

fn main() -> Result<()> {
    let numbers = env::args().skip(1).map(|arg| arg.parse());
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
    let mut ring = IoUring::new(8)?;
    let here = ring.as_raw_fd();
    let (tell, told) = mpsc::channel();
    let printer = thread::spawn(move || print_all(here, &tell));
    let there = told.recv().context("the other thread has failed")?;
    for number in numbers {
        send(&mut ring, there, number)?;
        wait(&mut ring)?; // for the number to be printed
    }
    send(&mut ring, there, END)?;
    ring.submit()?;
    printer.join().expect("it does not panic")
}

/// Prints the numbers from the main thread, whose ring is `back`.
fn print_all(back: RawFd, tell: &Sender<RawFd>) -> Result<()> {
    let mut ring = IoUring::new(8)?;
    tell.send(ring.as_raw_fd())?;
    loop {
        match wait(&mut ring)? {
            END => return Ok(()),
            number => println!("{number}"),
        }
        send(&mut ring, back, END)?;
    }
}

/// Prepares a message to another ring.
fn send(ring: &mut IoUring, to: RawFd, number: u64) -> Result<()> {
    let message = opcode::MsgRingData::new(Fd(to), 0, number, None)
        .build()
        .flags(Flags::SKIP_SUCCESS);
    //         ^^^^^^^^^^^^^^^^^^^ so that our own completion does not end our
    //                             wait
    // SAFETY: a message points at no memory.
    Ok(unsafe { ring.submission().push(&message) }?)
}

/// Submits the prepared messages, and waits for one.
fn wait(ring: &mut IoUring) -> Result<u64> {
    ring.submit_and_wait(1)?;
    //   ^^^^^^^^^^^^^^^^^^ sends, sleeps and wakes: one call
    let completion = ring.completion().next().context("nothing came")?;
    Ok(completion.user_data())
}
