//! What comes back: a completion's flags, and the flags that the kernel keeps in the rings.

use std::fmt;

use super::table::{append, table};

const CQE: &str = "cqe->flags";
const RES: &str = "cqe->res";
const SQ: &str = "sq_ring->flags";
const CQ: &str = "cq_ring->flags";

table! {
    /// The flags of a completion, the lower 16 bits of `cqe->flags`.
    ///
    /// The upper 16 are a buffer's number if `IORING_CQE_F_BUFFER` is set; print the whole
    /// with [`completion_flags`].
    COMPLETION_FLAGS: Flags, "completion flag", "IORING_CQE_F_";
    IORING_CQE_F_BUFFER        = 1 << 0,  "5.7",  CQE, "the upper 16 bits number a provided buffer";
    IORING_CQE_F_MORE          = 1 << 1,  "5.13", CQE, "the entry is still armed: more completions will come";
    IORING_CQE_F_SOCK_NONEMPTY = 1 << 2,  "5.19", CQE, "the socket had more to read";
    IORING_CQE_F_NOTIF         = 1 << 3,  "6.0",  CQE, "a zero-copy send has let go of its buffer";
    IORING_CQE_F_BUF_MORE      = 1 << 4,  "6.12", CQE, "the kernel goes on filling this provided buffer";
    IORING_CQE_F_SKIP          = 1 << 5,  "6.18", CQE, "padding at the end of the ring: pass over it";
    IORING_CQE_F_32            = 1 << 15, "6.18", CQE, "this completion has 32 bytes";
}

table! {
    /// What the upper 16 bits of `cqe->flags` say about a time that
    /// `SOCKET_URING_OP_TX_TIMESTAMP` reports. Above this bit stands what happened then, as in
    /// `sock_extended_err.ee_info`: 0 sent, 1 queued, 2 acknowledged.
    TIMESTAMP_FLAGS: Flags, "timestamp flag", "IORING_CQE_F_";
    IORING_CQE_F_TSTAMP_HW = 1 << 16, "6.17", CQE, "the time is the network card's, not the kernel's";
}

table! {
    /// What the notification of a zero-copy send has in `cqe->res`, with
    /// `IORING_SEND_ZC_REPORT_USAGE`.
    NOTIFICATION_FLAGS: Flags, "notification flag", "IORING_NOTIF_USAGE_";
    IORING_NOTIF_USAGE_ZC_COPIED = 1 << 31, "6.2", RES, "the data was copied anyway";
}

table! {
    /// The flags that the kernel sets in the submission ring, for the program to read.
    SQ_RING_FLAGS: Flags, "submission ring flag", "IORING_SQ_";
    IORING_SQ_NEED_WAKEUP = 1 << 0, "5.1",  SQ, "the polling thread sleeps: wake it by an enter";
    IORING_SQ_CQ_OVERFLOW = 1 << 1, "5.8",  SQ, "completions wait outside the full queue";
    IORING_SQ_TASKRUN     = 1 << 2, "5.19", SQ, "completion work waits for the next enter";
}

table! {
    /// The flags that the program sets in the completion ring, for the kernel to read.
    CQ_RING_FLAGS: Flags, "completion ring flag", "IORING_CQ_";
    IORING_CQ_EVENTFD_DISABLED = 1 << 0, "5.8", CQ, "do not notify the registered eventfd";
}

/// The bit that says that the upper 16 bits are a buffer's number.
const HAS_BUFFER: u32 = 1;

/// The provided buffer that `cqe->flags` names, if any.
pub fn buffer_id(flags: u32) -> Option<u16> {
    (flags & HAS_BUFFER != 0).then_some((flags >> 16) as u16)
}

/// The whole of `cqe->flags` for printing: the names, and the buffer's number where one is
/// given, such as `IORING_CQE_F_BUFFER 7 | IORING_CQE_F_MORE`. `{:#}` prints short names.
///
/// Without `IORING_CQE_F_BUFFER` the upper 16 bits belong to the operation (such as
/// `SOCKET_URING_OP_TX_TIMESTAMP`) and are printed as a number.
pub fn completion_flags(flags: u32) -> CompletionFlags {
    CompletionFlags(flags)
}

/// Prints `cqe->flags`: see [`completion_flags`].
#[derive(Clone, Copy, Debug)]
pub struct CompletionFlags(u32);

impl fmt::Display for CompletionFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(buffer) = buffer_id(self.0) else {
            return COMPLETION_FLAGS.flags(self.0).fmt(f);
        };
        let mut text = match f.alternate() {
            true => format!("{:#} {buffer}", COMPLETION_FLAGS.name(HAS_BUFFER)),
            false => format!("{} {buffer}", COMPLETION_FLAGS.name(HAS_BUFFER)),
        };
        let rest = self.0 & 0xffff & !HAS_BUFFER;
        if rest != 0 {
            let rest = COMPLETION_FLAGS.flags(rest);
            let rest = if f.alternate() { format!("{rest:#}") } else { rest.to_string() };
            append(&mut text, &rest);
        }
        f.pad(&text)
    }
}
