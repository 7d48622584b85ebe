//! What the kernel answers about several rings, threads and processes: the table of the chapter
//! *Several rings and threads*.
//!
//! ```text
//! cargo run -p day04 --example rings_answers
//! cargo run -p day04 --example rings_answers -- wake      # only questions that begin so
//! ```

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use io_uring::{IoUring, cqueue, squeue};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[path = "rings_answers/fork.rs"]
mod fork;
#[path = "rings_answers/loops.rs"]
mod loops;
#[path = "rings_answers/owner.rs"]
mod owner;
#[path = "rings_answers/wake.rs"]
mod wake;

/// How long something is waited for that should not come, in milliseconds.
const NOT_COMING: u16 = 200;
/// How long something is waited for that should come.
const COMING: u16 = 5000;
/// Seconds until the program is killed, if the kernel does not answer.
const LONGEST: u32 = 60;

/// Asks the kernel questions about several rings, and prints its answers
#[derive(Parser)]
struct Options {
    /// Only questions that begin with this word
    #[arg(default_value = "")]
    word: String,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(&Options::parse()))
}

/// A question, and how it is answered.
type Question = (&'static str, fn() -> Result<String>);

fn run(options: &Options) -> Result<()> {
    // SAFETY: it only sets a timer, whose signal kills the program.
    unsafe { libc::alarm(LONGEST) };
    // If rings are refused, this says why.
    common::ring::build_best(&common::ring::RingOptions::default(), 8)?;
    // A child is a copy of one thread. So the questions of fork come before there are others.
    for (question, ask) in
        [wake::ALONE, fork::QUESTIONS, wake::QUESTIONS, loops::QUESTIONS, owner::QUESTIONS]
            .into_iter()
            .flatten()
            .filter(|(question, _)| question.starts_with(&options.word))
    {
        let answer = ask().unwrap_or_else(|error| format!("not on this kernel: {}", cause(&error)));
        writeln!(io::stdout(), "{question}: {answer}")?;
    }
    Ok(())
}

/// A ring without flags.
fn plain() -> Result<IoUring> {
    Ok(IoUring::new(8)?)
}

/// A ring with DEFER_TASKRUN, which needs SINGLE_ISSUER.
fn deferred() -> Result<IoUring> {
    let built = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(8);
    built.context("DEFER_TASKRUN")
}

/// A ring that a kernel thread polls.
fn polled() -> Result<IoUring> {
    IoUring::builder().setup_sqpoll(1000).build(8).context("SQPOLL")
}

/// Queues an entry and submits it, without waiting.
fn submit(ring: &mut IoUring, entry: squeue::Entry) -> Result<usize> {
    // SAFETY: what the entries of this program point at is never freed, or part of it.
    unsafe { ring.submission().push(&entry) }?;
    Ok(ring.submit()?)
}

/// The next completion, which should come.
fn completion(ring: &mut IoUring) -> Result<cqueue::Entry> {
    arrives(ring, COMING)?.context("no completion came")
}

/// The next completion, if one comes within so many milliseconds.
fn arrives(ring: &mut IoUring, milliseconds: u16) -> Result<Option<cqueue::Entry>> {
    if ring.completion().is_empty() && can_be_read(ring, milliseconds)? {
        get_events(ring)?;
    }
    Ok(ring.completion().next())
}

/// Whether `poll(2)` says of a ring that it can be read: it has completions, or work to do.
fn can_be_read(ring: &IoUring, milliseconds: u16) -> Result<bool> {
    // SAFETY: the ring is borrowed, so its descriptor stays open.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(ring.as_raw_fd()) };
    readable(fd, milliseconds)
}

fn readable(fd: impl AsFd, milliseconds: u16) -> Result<bool> {
    let timeout = PollTimeout::from(milliseconds);
    Ok(patiently(|| poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout))? > 0)
}

/// Makes a call again that was interrupted: rings do that, and not only signals.
fn patiently<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Enters the kernel for completions, and does not wait for one.
fn get_events(ring: &IoUring) -> Result<()> {
    const GETEVENTS: u32 = 1;
    // SAFETY: it submits nothing, and has no argument.
    unsafe { ring.submitter().enter::<libc::sigset_t>(0, 0, GETEVENTS, None) }?;
    Ok(())
}

/// A completion's result, or the name of its error.
fn result(completion: &cqueue::Entry) -> String {
    match completion.result() {
        error @ ..0 => format!("{:?}", Errno::from_raw(-error)),
        result => result.to_string(),
    }
}

/// The name of the error behind an error, or its words.
fn cause(error: &anyhow::Error) -> String {
    let cause = error.root_cause();
    match (cause.downcast_ref::<io::Error>(), cause.downcast_ref::<Errno>()) {
        (Some(error), _) => environment::errno_name(error),
        (_, Some(errno)) => format!("{errno:?}"),
        _ => cause.to_string(),
    }
}

/// The answer of a call.
fn answer<T>(call: io::Result<T>) -> String {
    call.map_or_else(|error| environment::errno_name(&error), |_| "granted".into())
}

/// An empty pipe: where to read, and where to write.
fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe()?)
}
