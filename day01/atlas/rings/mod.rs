//! From one ring to another.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
