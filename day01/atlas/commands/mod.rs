//! Commands of a file's own driver, or of a socket.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
