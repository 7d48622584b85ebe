//! Buffers that the kernel picks from.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
