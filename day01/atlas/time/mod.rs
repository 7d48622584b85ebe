//! Timeouts, alone and linked.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
