//! Entries from one ring to another.

mod msg_ring;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[msg_ring::ENTRY];
