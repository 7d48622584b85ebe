//! Kernels on which closing a slot does not end the connection at once.
//!
//! Up to Linux 6.12 the file of a closed slot stays open until all entries have ended that were
//! submitted before, on any slot. Only then does its client see the end.

use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use io_uring::types::Fixed;
use io_uring::{IoUring, opcode};

use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::record::Record;

/// The failure of a client that waits for the end of its connection. Not observed, if a slot was
/// closed and this kernel may keep the connection open.
pub fn or_not_observed(failure: Failure, record: &Record) -> Failure {
    let excused = failure.id == ids::NOT_CLOSED && has_closed(record) && is_late();
    if excused { hidden() } else { failure }
}

/// Whether a close succeeded, or skips the completion of its success.
fn has_closed(record: &Record) -> bool {
    let silent = |flags: &[String]| flags.iter().any(|flag| flag == "CQE_SKIP_SUCCESS");
    record.completed("CLOSE").iter().any(|close| close.res == 0)
        || record.submitted("CLOSE").iter().any(|close| silent(&close.flags))
}

fn hidden() -> Failure {
    Failure::not_observed(
        "On this kernel (up to Linux 6.12) the connection of a closed slot ends only when all \
         operations have ended that were in flight before. So the check cannot see when the \
         program closed it.",
    )
}

/// For checks in which many clients have to leave quickly.
///
/// # Errors
/// Not observed, on a kernel where each connection may last a second longer than its slot.
pub fn need_prompt_closes() -> Result<(), Failure> {
    if !is_late() {
        return Ok(());
    }
    Err(Failure::not_observed(
        "On this kernel (up to Linux 6.12) the connection of a closed slot may last a second \
         longer, and this check needs clients that leave quickly.",
    ))
}

/// Asks the kernel, once.
fn is_late() -> bool {
    static LATE: OnceLock<bool> = OnceLock::new();
    *LATE.get_or_init(|| ask().unwrap_or(false))
}

/// Closes one slot while a poll is in flight on another, and checks whether the peer sees the end.
fn ask() -> std::io::Result<bool> {
    let (mut peer, closed) = UnixStream::pair()?;
    let (_silent, in_use) = UnixStream::pair()?;
    peer.set_nonblocking(true)?;
    let mut ring = IoUring::new(2)?;
    ring.submitter().register_files(&[in_use.as_raw_fd(), closed.as_raw_fd()])?;
    drop(closed);
    let poll = opcode::PollAdd::new(Fixed(0), libc::POLLIN as u32).build();
    let close = opcode::Close::new(Fixed(1)).build();
    // SAFETY: neither entry points at memory.
    unsafe { ring.submission().push_multiple(&[poll, close]) }.map_err(std::io::Error::other)?;
    ring.submit_and_wait(1)?;
    Ok(peer.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringtrace::event::{Event, Submit, What};

    fn with_close(flags: &[&str]) -> Record {
        let close = Submit {
            ring: 1,
            seq: 1,
            op: "CLOSE".to_string(),
            opcode: 19,
            flags: flags.iter().map(ToString::to_string).collect(),
            user_data: "0x1".to_string(),
            meaning: String::new(),
            details: serde_json::Map::new(),
            words: String::new(),
            file: None,
            addr: 0,
        };
        let events = vec![Event { us: 0, tid: 1, what: What::Submit(close) }];
        Record { events, ..Record::default() }
    }

    #[test]
    fn a_close_counts_when_it_is_answered_or_silent() {
        assert!(!has_closed(&Record::default()));
        assert!(!has_closed(&with_close(&[])), "nobody has answered it");
        assert!(has_closed(&with_close(&["CQE_SKIP_SUCCESS"])));
    }

    #[test]
    fn only_a_connection_that_does_not_end_is_excused() {
        let record = with_close(&["CQE_SKIP_SUCCESS"]);
        let id = |id| or_not_observed(record.fail(id), &record).id;
        assert_eq!(id(ids::NO_ANSWER), ids::NO_ANSWER);
        let expected = if is_late() { ids::NOT_OBSERVED } else { ids::NOT_CLOSED };
        assert_eq!(id(ids::NOT_CLOSED), expected);
    }
}
