//! Reading, writing and flushing files.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
