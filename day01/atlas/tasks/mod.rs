//! Processes and futexes.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
