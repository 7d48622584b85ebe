//! Making, connecting and using sockets.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
