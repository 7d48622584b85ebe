//! Ctrl-C and SIGTERM as completions.
//!
//! A signal handler would interrupt the wait at any moment. A blocked signal waits in a
//! signalfd (`signalfd(2)`) until the ring reads it: one more completion among the others.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::memory::forever;

/// A `struct signalfd_siginfo` in words, of which the first is the signal's number
/// (`signalfd(2)`).
///
/// Atomics, because the kernel writes here as another thread would: a program that looks too early
/// only reads an older number.
type Raw = [AtomicU32; size_of::<libc::signalfd_siginfo>() / size_of::<u32>()];

/// The signals that ask a server to stop, readable through a ring.
#[derive(Debug)]
pub struct StopSignals {
    signalfd: SignalFd,
    record: &'static Raw,
}

impl StopSignals {
    // ANCHOR: block
    /// Blocks SIGINT and SIGTERM in this thread and in those it starts later, and opens a
    /// signalfd for them. Call it before any other thread runs.
    pub fn block() -> Result<StopSignals> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.add(Signal::SIGTERM);
        set.thread_block().context("blocking SIGINT and SIGTERM")?;
        let signalfd =
            SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).context("opening a signalfd")?;
        Ok(StopSignals { signalfd, record: forever(Raw::default()) })
    }
    // ANCHOR_END: block

    /// The descriptor to read from.
    pub fn fd(&self) -> RawFd {
        self.signalfd.as_raw_fd()
    }

    /// The address and length of a read's record. The memory belongs to the kernel from the moment
    /// the read is queued until its completion, and is never freed.
    pub fn record(&mut self) -> (*mut u8, u32) {
        (self.record.as_ptr().cast_mut().cast(), size_of::<Raw>() as u32)
    }

    /// The signal that a completed read brought.
    pub fn name(&self) -> &'static str {
        let number = self.record[0].load(Ordering::Relaxed);
        Signal::try_from(number as i32).map_or("a signal", Signal::as_str)
    }
}

#[cfg(test)]
mod tests {
    use io_uring::opcode;
    use io_uring::types::Fd;
    use nix::sys::signal::raise;

    use super::*;
    use crate::queues::Queues;
    use crate::ring::{RingOptions, SetupFlags, build};
    use testkit::io_uring_or_skip;

    /// Signals are blocked, sent and read only in this test's thread.
    #[test]
    fn a_read_in_flight_follows_neither_a_move_nor_an_early_look() {
        const NAME: &str = "a_read_in_flight_follows_neither_a_move_nor_an_early_look";
        if !io_uring_or_skip(NAME) {
            return;
        }
        let mut ring = build(&RingOptions::default(), 2, SetupFlags::default()).unwrap();
        let mut queues = Queues::new(&mut ring);
        let mut signals = StopSignals::block().unwrap();
        let (record, length) = signals.record();
        let read = opcode::Read::new(Fd(signals.fd()), record, length).build();
        // SAFETY: the record is never freed.
        unsafe { queues.push(&read) }.unwrap();
        queues.submit_and_wait(0, None).unwrap();

        let moved = Box::new(signals);
        assert_eq!(moved.name(), "a signal", "none has come");
        raise(Signal::SIGTERM).unwrap(); // to this thread
        queues.submit_and_wait(1, None).unwrap();
        let completion = queues.next_completion().expect("the wait was for one");
        assert_eq!(completion.result(), length as i32);
        assert_eq!(moved.name(), "SIGTERM");
    }
}
