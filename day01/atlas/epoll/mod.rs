//! Epoll from a ring.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
