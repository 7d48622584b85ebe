//! Ctrl-C and SIGTERM as completions.
//!
//! A signal handler would interrupt the wait at any moment. A blocked signal waits in a
//! signalfd (`signalfd(2)`) until the ring reads it: one more completion among the others.

use std::os::fd::{AsRawFd, RawFd};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that ask a server to stop, readable through a ring.
#[derive(Debug)]
pub struct StopSignals {
    signalfd: SignalFd,
    record: Box<libc::signalfd_siginfo>,
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
        // SAFETY: `signalfd_siginfo` is plain integers, for which all zeroes is a value.
        let record = Box::new(unsafe { std::mem::zeroed() });
        Ok(StopSignals { signalfd, record })
    }
    // ANCHOR_END: block

    /// The descriptor to read from.
    pub fn fd(&self) -> RawFd {
        self.signalfd.as_raw_fd()
    }

    /// Where a read puts its record, and its length in bytes. The memory belongs to the
    /// kernel from the moment the read is queued until its completion: keep `self` alive.
    pub fn record(&mut self) -> (*mut u8, u32) {
        let length = size_of::<libc::signalfd_siginfo>() as u32;
        (std::ptr::from_mut(self.record.as_mut()).cast(), length)
    }

    /// The signal that a completed read brought.
    pub fn name(&self) -> &'static str {
        Signal::try_from(self.record.ssi_signo as i32).map_or("a signal", Signal::as_str)
    }
}
