//! What a kernel says it can do: the feature bits of a ring.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
