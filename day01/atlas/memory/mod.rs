//! Advice about how files and memory are going to be used.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
