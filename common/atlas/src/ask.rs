//! What an entry asks of the ring, and how that must end.

use io_uring::squeue;
use nix::errno::Errno;

use crate::report::Asked;
use crate::{Answer, raw};

/// An entry for the ring, in words, and what it must end with.
#[derive(Debug)]
pub struct Ask<S> {
    pub(crate) asked: String,
    pub(crate) entry: S,
    pub(crate) second_half: Option<S>,
    pub(crate) end: End,
}

impl<S> Ask<S> {
    /// An entry that must succeed.
    pub fn new(asked: &str, entry: impl Into<S>) -> Ask<S> {
        let (asked, entry) = (asked.to_string(), entry.into());
        Ask { asked, entry, second_half: None, end: End::success() }
    }

    /// The kernel must refuse it, or interrupt it, with this error. `why` is the reason, for
    /// readers who get the same error. Called twice, it allows either error.
    pub fn refused(mut self, errno: Errno, why: &str) -> Ask<S> {
        self.end.may_succeed = false;
        self.or_refused(errno, why)
    }

    /// As [`Ask::refused`], but some kernels let it succeed.
    pub fn or_refused(mut self, errno: Errno, why: &str) -> Ask<S> {
        self.end.errors.push((errno, why.to_string()));
        self
    }
}

impl Ask<squeue::Entry> {
    /// An entry of 128 bytes for a ring with `IORING_SETUP_SQE_MIXED`, which must succeed. It
    /// takes two places of the queue, and the kernel refuses it where the second one is the
    /// queue's first.
    pub fn new_128(asked: &str, entry: squeue::Entry128) -> Ask<squeue::Entry> {
        let [first, second] = raw::halves(entry);
        Ask { second_half: Some(second), ..Ask::new(asked, first) }
    }
}

/// How an entry must end.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) may_succeed: bool,
    errors: Vec<(Errno, String)>,
}

impl End {
    pub(crate) fn success() -> End {
        End { may_succeed: true, errors: Vec::new() }
    }

    pub(crate) fn one_of(errnos: &[Errno], why: &str) -> End {
        let errors = errnos.iter().map(|errno| (*errno, why.to_string())).collect();
        End { may_succeed: false, errors }
    }

    /// The reason why it may end so, if that is an error; otherwise what was expected.
    pub(crate) fn judge(&self, answer: &Answer) -> Result<Option<&str>, String> {
        let Some(errno) = answer.errno() else {
            return if self.may_succeed { Ok(None) } else { Err(self.expected()) };
        };
        let known = self.errors.iter().find(|(it, _)| *it == errno);
        known.map(|(_, why)| Some(why.as_str())).ok_or_else(|| self.expected())
    }

    fn expected(&self) -> String {
        let success = self.may_succeed.then(|| "success".to_string());
        let errors = self.errors.iter().map(|(errno, why)| format!("{errno:?} ({why})"));
        success.into_iter().chain(errors).collect::<Vec<_>>().join(" or ")
    }
}

/// An entry that was submitted and that still has completions to come.
#[derive(Clone, Debug)]
pub struct Started {
    pub(crate) asked: String,
    pub(crate) entry: Asked,
}

impl Started {
    /// The entry's `user_data`, by which other entries cancel, change or find it.
    pub fn user_data(&self) -> u64 {
        self.entry.user_data
    }
}
