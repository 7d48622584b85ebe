//! Sending and receiving without a copy.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
