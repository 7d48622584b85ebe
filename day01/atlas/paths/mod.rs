//! Opening, naming and removing files.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
