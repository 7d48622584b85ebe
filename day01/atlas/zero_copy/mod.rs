//! Sends and receives without a copy of the bytes.

mod recv_zc;
mod send_zc;
mod sendmsg_zc;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[send_zc::ENTRY, sendmsg_zc::ENTRY, recv_zc::ENTRY];
