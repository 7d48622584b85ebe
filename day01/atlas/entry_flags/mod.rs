//! The flags that any entry can carry, in `sqe->flags`.

mod r#async;
mod buffer_select;
mod cqe_skip_success;
mod fixed_file;
mod io_drain;
mod io_hardlink;
mod io_link;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[
    fixed_file::ENTRY,
    io_drain::ENTRY,
    io_link::ENTRY,
    io_hardlink::ENTRY,
    r#async::ENTRY,
    buffer_select::ENTRY,
    cqe_skip_success::ENTRY,
];
