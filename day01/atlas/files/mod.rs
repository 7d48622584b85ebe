//! Reading, writing and flushing files.

mod read;
mod write;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[read::ENTRY, write::ENTRY];
