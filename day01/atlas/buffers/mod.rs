//! Buffers that the kernel picks from, when there is something to put into them.

mod buf_more;
mod provide_buffers;
mod remove_buffers;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] =
    &[provide_buffers::ENTRY, remove_buffers::ENTRY, buf_more::ENTRY];
