//! The page that an entry fills: it asks the kernel, and keeps what was asked and answered.

mod calls;
mod entries;
mod queues;
mod started;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io;
use std::os::fd::RawFd;

use anyhow::{Context, Result, ensure};
use common::catalog::{self, Kernel};
use common::environment::kernel_release;
use nix::errno::Errno;

use crate::report::Kind;
use crate::{Answer, Entry, Family, LeftOut, Report, Row, Scratch, Where, shortage};

/// What an entry has asked so far, and what the kernel answered.
///
/// An entry whose `user_data` is 0 gets its own number. A completion that comes while another one
/// is waited for is kept for the call that asks for it.
#[derive(Debug)]
pub struct Page {
    report: Report,
    scratch: Option<Scratch>,
    /// Completions that no call has asked for yet, by the descriptor of their ring.
    kept: Vec<(RawFd, Answer)>,
    /// The `user_data` given out last.
    last_number: u64,
}

impl Page {
    pub(crate) fn new(family: &Family, entry: &Entry) -> Page {
        Page { report: Report::new(family, entry), scratch: None, kept: Vec::new(), last_number: 0 }
    }

    /// Notes what was seen by other means: the file's bytes, `/proc`, the peer.
    ///
    /// # Errors
    /// If it is not so.
    pub fn saw(&mut self, what: &str, is_so: bool) -> Result<()> {
        ensure!(is_so, "it is not so: {what}");
        self.report.rows.push(Row::new(Kind::Saw, what, "yes"));
        Ok(())
    }

    /// Notes a value that is worth knowing.
    pub fn note(&mut self, what: &str, value: impl Display) {
        self.report.rows.push(Row::new(Kind::Note, what, value));
    }

    /// A folder for the entry's files. It is removed at the end.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&mut self) -> Result<Scratch> {
        if self.scratch.is_none() {
            self.scratch = Some(Scratch::make(&self.report.name)?);
        }
        Ok(self.scratch.clone().expect("just made"))
    }

    /// Whether nothing was left out so far: for mistakes that need an earlier step.
    pub fn showed_all(&self) -> bool {
        self.report.left_out.is_empty()
    }

    fn remove_scratch(&self) {
        if let Some(scratch) = &self.scratch {
            scratch.remove();
        }
    }

    pub(crate) fn leave_out(&mut self, left_out: LeftOut) {
        self.report.left_out.push(left_out);
    }

    pub(crate) fn finish(mut self, shown: Result<()>) -> Report {
        match shown.map_err(|error| error.downcast::<LeftOut>()) {
            Ok(()) => {}
            Err(Ok(left_out)) => self.leave_out(left_out),
            Err(Err(error)) => {
                let errno = shortage::errno_of(&error);
                let why = errno.and_then(|errno| shortage::explain(errno, self.scratch.is_some()));
                let why = why.map_or(String::new(), |why| format!("; {why}"));
                self.report.failed = Some(format!("{error:#}{why}"));
                self.report.lacked_memory = shortage::is_of_memory(&error);
            }
        }
        std::mem::take(&mut self.report)
    }

    /// Leaves `name` out because this kernel lacks it, with the release that brought it.
    /// Ends the entry if its result is returned.
    ///
    /// # Errors
    /// If the catalogue does not have the name.
    pub fn lacks(&mut self, name: &str) -> Result<()> {
        let fact = catalog::find(name).with_context(|| format!("the catalogue has no {name}"))?;
        let why = format!("needs Linux {}, or this kernel is built without it", fact.since);
        self.cannot(name, why, Where::NewerKernel)
    }

    /// Leaves something out: a name of the catalogue, or `what` in words. Goes on after `?`;
    /// ends the entry if its result is returned.
    ///
    /// # Errors
    /// Never.
    pub fn cannot(&mut self, what: &str, why: impl Into<String>, seen: Where) -> Result<()> {
        self.leave_out(LeftOut::new(what, why, seen));
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.remove_scratch();
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// Whether the kernel says by this error that it does not know a name of the catalogue, which
/// came with a later release.
fn means_unknown(errno: Errno, name: &str) -> bool {
    let fact = catalog::find(name).unwrap_or_else(|| panic!("the catalogue has no {name}"));
    let is_newer = Kernel::parse(&kernel_release()).is_some_and(|here| here < fact.since);
    is_newer && [Errno::EINVAL, Errno::EOPNOTSUPP].contains(&errno)
}
