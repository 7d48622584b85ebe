//! A completion of either size.

use common::catalog::{COMPLETION_FLAGS, buffer_id, completion_flags};
use io_uring::cqueue;
use nix::errno::Errno;

/// A completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the entry carried in `user_data`.
    pub user_data: u64,
    /// What the operation returned; below zero, the negated error number.
    pub result: i32,
    /// The `IORING_CQE_F_*` flags.
    pub flags: u32,
    /// The second half of a completion of 32 bytes; zeros if the completion has 16.
    pub extra: [u64; 2],
}

impl Answer {
    /// The error that ended the operation.
    pub fn errno(&self) -> Option<Errno> {
        (self.result < 0 && !self.is_notification()).then(|| Errno::from_raw(-self.result))
    }

    /// Whether this is the notification of a zero-copy send that has let go of its buffer. Its
    /// result is then not an error: 0, or `IORING_NOTIF_USAGE_ZC_COPIED`, which is below zero.
    pub fn is_notification(&self) -> bool {
        cqueue::notif(self.flags)
    }

    /// Whether more completions of the same entry will come.
    pub fn more(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// The provided buffer that the kernel picked.
    pub fn buffer(&self) -> Option<u16> {
        buffer_id(self.flags)
    }

    pub(crate) fn is_padding(&self) -> bool {
        self.flags & const { COMPLETION_FLAGS.code("SKIP") } != 0
    }

    pub(crate) fn has_32_bytes(&self) -> bool {
        self.flags & const { COMPLETION_FLAGS.code("32") } != 0
    }

    /// The result and the flags in words: `5, IORING_CQE_F_MORE` or `EINVAL`.
    pub(crate) fn in_words(&self) -> String {
        let result = match self.errno() {
            // Such as 512, ERESTARTSYS, which should never leave the kernel.
            Some(Errno::UnknownErrno) => format!("error {}", -self.result),
            Some(errno) => format!("{errno:?}"),
            None if self.result == i32::MIN => "IORING_NOTIF_USAGE_ZC_COPIED".to_string(),
            None => self.result.to_string(),
        };
        match self.flags {
            0 => result,
            flags => format!("{result}, {}", completion_flags(flags)),
        }
    }
}

/// The completions that a ring can have: [`cqueue::Entry`] and, with `IORING_SETUP_CQE32`,
/// [`cqueue::Entry32`].
pub trait Completion: cqueue::EntryMarker {
    /// The completion as an [`Answer`].
    fn answer(&self) -> Answer;
}

impl Completion for cqueue::Entry {
    fn answer(&self) -> Answer {
        let (user_data, result, flags) = (self.user_data(), self.result(), self.flags());
        Answer { user_data, result, flags, extra: [0; 2] }
    }
}

impl Completion for cqueue::Entry32 {
    fn answer(&self) -> Answer {
        let (user_data, result, flags) = (self.user_data(), self.result(), self.flags());
        Answer { user_data, result, flags, extra: *self.big_cqe() }
    }
}

#[cfg(test)]
mod tests {
    use common::catalog::COMPLETION_FLAGS;

    use super::Answer;

    #[test]
    fn a_notification_is_no_error() {
        let flags = COMPLETION_FLAGS.code("NOTIF");
        let copied = Answer { user_data: 1, result: i32::MIN, flags, extra: [0; 2] };
        assert_eq!(copied.errno(), None);
        assert_eq!(copied.in_words(), "IORING_NOTIF_USAGE_ZC_COPIED, IORING_CQE_F_NOTIF");
        let error = Answer { result: -libc::EINVAL, flags: 0, ..copied };
        assert_eq!(error.in_words(), "EINVAL");
    }
}
