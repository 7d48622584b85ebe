//! Commands of a file's own driver, or of a socket.

mod tx_timestamp;
mod uring_cmd;
mod uring_cmd128;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[uring_cmd::ENTRY, tx_timestamp::ENTRY, uring_cmd128::ENTRY];
