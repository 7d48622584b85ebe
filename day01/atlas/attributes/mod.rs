//! Extended attributes of files.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
