//! Filling slots, and descriptors made from them.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
