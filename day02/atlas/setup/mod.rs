//! The flags of `io_uring_setup(2)`.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
