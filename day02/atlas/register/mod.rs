//! The calls of `io_uring_register(2)`.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
