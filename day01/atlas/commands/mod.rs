//! Commands of a file's own driver, or of a socket.

mod block_uring_cmd_discard;
mod fuse_io_uring_cmd_register;
mod nvme_uring_cmd_admin;
mod nvme_uring_cmd_io;
mod tx_timestamp;
mod uring_cmd;
mod uring_cmd128;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[
    uring_cmd::ENTRY,
    tx_timestamp::ENTRY,
    uring_cmd128::ENTRY,
    nvme_uring_cmd_io::ENTRY,
    nvme_uring_cmd_admin::ENTRY,
    block_uring_cmd_discard::ENTRY,
    fuse_io_uring_cmd_register::ENTRY,
];
