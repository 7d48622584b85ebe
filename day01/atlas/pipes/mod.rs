//! Pipes, and moving data through them.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
