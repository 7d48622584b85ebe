//! A program that waits for one message, and can be stuck in four ways. Find out why from outside.
//!
//! ```text
//! cargo run -p day04 --example stuck                  # prints the message
//! cargo run -p day04 --example stuck -- deferred &    # says its process, and stands still
//! cargo xtask trace --attach PROCESS
//! ```
//!
//! Each way is a mistake that was made in a real program. A thread plays the peer: it sends the
//! message a moment after the start. After `--for` seconds the program gives up, with status 1.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions, SetupFlags};
use io_uring::squeue::Entry;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};

/// `IORING_ENTER_GETEVENTS`: wait for completions.
const GETEVENTS: u32 = 1;
/// What the entries carry as their `user_data`.
const RECV: u64 = 7;
const CLOSE: u64 = 8;
const NOP: u64 = 9;

/// Waits for a message, and may never see it
#[derive(Parser)]
struct Options {
    /// How it is stuck; without this it is not
    way: Option<Way>,

    /// After so many seconds it gives up
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// It waits for an entry that it has not submitted
    Unsubmitted,
    /// It looks at the queue only, and the kernel waits to be asked
    Deferred,
    /// It has closed a slot, and the peer waits for the end of the stream
    Slot,
    /// It has had more completions than the queue holds
    Overflow,
}

fn main() -> ExitCode {
    let options = Options::parse();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(options.seconds));
        eprintln!("stuck: no message in {} seconds", options.seconds);
        process::exit(1);
    });
    environment::report(env!("CARGO_BIN_NAME"), run(options.way))
}

fn run(way: Option<Way>) -> Result<()> {
    let (ours, mut theirs) = UnixStream::pair()?;
    let mut peer = theirs.try_clone()?;
    if !matches!(way, Some(Way::Slot)) {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            peer.write_all(b"hello")
        });
    }
    writeln!(io::stdout(), "process {} waits for a message", process::id())?;
    let message = forever([0_u8; 64]);
    let address = message.as_mut_ptr();
    let receive = opcode::Recv::new(Fd(ours.as_raw_fd()), address, 64);
    let receive = receive.build().user_data(RECV);
    let length = match way {
        None => received(ring(false)?, &receive),
        Some(Way::Unsubmitted) => unsubmitted(ring(false)?, &receive),
        Some(Way::Deferred) => deferred(ring(true)?, &receive),
        Some(Way::Slot) => slot(ring(false)?, ours, &mut theirs, address),
        Some(Way::Overflow) => overflow(ring(false)?, &receive),
    }?;
    let text = String::from_utf8_lossy(&message[..length as usize]);
    Ok(writeln!(io::stdout(), "the message is \"{text}\"")?)
}

/// A ring of 4 and 8 entries.
fn ring(defer: bool) -> Result<IoUring> {
    let flags = SetupFlags { single_issuer: defer, defer_taskrun: defer, ..SetupFlags::default() };
    ring::build(&RingOptions::default(), 4, flags)
        .context("no ring; the way `deferred` needs Linux 6.1")
}

/// As it should be: one call that submits and waits.
fn received(mut ring: IoUring, receive: &Entry) -> Result<i32> {
    push(&mut ring, receive)?;
    ring.submit_and_wait(1)?;
    Ok(ring.completion().next().context("no completion")?.result())
}

fn unsubmitted(mut ring: IoUring, receive: &Entry) -> Result<i32> {
    push(&mut ring, receive)?;
    // SAFETY: no signal mask is given.
    unsafe { ring.submitter().enter::<libc::sigset_t>(0, 1, GETEVENTS, None) }?;
    Ok(ring.completion().next().context("no completion")?.result())
}

fn deferred(mut ring: IoUring, receive: &Entry) -> Result<i32> {
    push(&mut ring, receive)?;
    ring.submit()?;
    Ok(look_for(&mut ring, RECV))
}

// ANCHOR: look_for
/// Looks at the queue's memory until there is such a completion. It makes no call to the ring.
fn look_for(ring: &mut IoUring, user_data: u64) -> i32 {
    loop {
        for completion in ring.completion() {
            if completion.user_data() == user_data {
                return completion.result();
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
}
// ANCHOR_END: look_for

fn slot(
    mut ring: IoUring,
    ours: UnixStream,
    theirs: &mut UnixStream,
    address: *mut u8,
) -> Result<i32> {
    ring.submitter().register_files(&[ours.as_raw_fd()])?;
    drop(ours); // Now the slot alone holds the socket.
    let receive = opcode::Recv::new(Fixed(0), address, 64);
    push(&mut ring, &receive.build().user_data(RECV))?;
    push(&mut ring, &opcode::Close::new(Fixed(0)).build().user_data(CLOSE))?;
    ring.submit_and_wait(1)?;
    ensure!(look_for(&mut ring, CLOSE) == 0, "the slot was not closed");
    // The peer: a closed socket is the end of its stream, and so 0 bytes.
    Ok(theirs.read(&mut [0])? as i32)
}

fn overflow(mut ring: IoUring, receive: &Entry) -> Result<i32> {
    push(&mut ring, receive)?;
    for _ in 0..8 {
        push(&mut ring, &opcode::Nop::new().build().user_data(NOP))?;
        ring.submit()?;
    }
    thread::sleep(Duration::from_millis(400)); // Busy elsewhere. The message arrives meanwhile.
    Ok(look_for(&mut ring, RECV))
}

fn push(ring: &mut IoUring, entry: &Entry) -> Result<()> {
    // SAFETY: a RECV is into memory that is never freed; the others name none.
    Ok(unsafe { ring.submission().push(entry) }?)
}
