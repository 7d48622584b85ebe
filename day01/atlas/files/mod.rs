//! Reading, writing and flushing files.

mod fallocate;
mod fsync;
mod ftruncate;
mod read;
mod read_fixed;
mod read_multishot;
mod readv;
mod readv_fixed;
mod sync_file_range;
mod write;
mod write_fixed;
mod writev;
mod writev_fixed;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[
    read::ENTRY,
    write::ENTRY,
    readv::ENTRY,
    writev::ENTRY,
    read_fixed::ENTRY,
    write_fixed::ENTRY,
    readv_fixed::ENTRY,
    writev_fixed::ENTRY,
    read_multishot::ENTRY,
    fsync::ENTRY,
    sync_file_range::ENTRY,
    fallocate::ENTRY,
    ftruncate::ENTRY,
];
