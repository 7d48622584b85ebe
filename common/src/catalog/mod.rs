//! The catalogue: what io_uring's numbers are called, since when, and what they mean.
//!
//! There is a static [`Table`] of the operations, and one each of the setup flags, the feature
//! bits, the register operations and the smaller sets of flags. Everything that prints such a name
//! takes it from here, so that a number has one name everywhere:
//!
//! ```
//! use common::catalog::{OPERATIONS, SETUP_FLAGS};
//!
//! let accept = OPERATIONS.get(13).expect("in every kernel since 5.5");
//! assert_eq!(accept.name, "IORING_OP_ACCEPT");
//! assert_eq!(accept.since.to_string(), "5.5");
//! assert_eq!(OPERATIONS.name(200).to_string(), "operation 200");
//! assert_eq!(SETUP_FLAGS.flags(0x1008).to_string(), "IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER");
//! assert_eq!(format!("{:#}", SETUP_FLAGS.flags(0x1008)), "CQSIZE | SINGLE_ISSUER");
//! ```
//!
//! # Where the facts come from
//! Names and values are those of `<linux/io_uring.h>`, and of the headers in `<linux/io_uring/>`,
//! up to Linux 7.3, which a test compares with the headers of the machine it runs on. `since` is
//! the first mainline release with the name. It has three sources: the headers of 5.17, 6.1 to 6.5,
//! 6.8, 6.11 to 6.13, 6.15 to 6.17, 7.2 and 7.3; what Linux 6.18 answers to
//! `IORING_REGISTER_QUERY`; and for the releases between those the man pages `io_uring_setup(2)`,
//! `io_uring_enter(2)`, `io_uring_register(2)` and `io_uring_prep_*(3)`. Where a man page names a
//! release whose header lacks the name (`IORING_OP_WAITID`, `IORING_REGISTER_QUERY`), the header is
//! right. Linux 5.10, 6.1, 6.12, 6.16 to 6.19 and 7.0 to 7.3 were booted (`cargo xtask kernels`):
//! what they report of themselves agrees with the tables.
//!
//! The flags that entries take from other system calls, such as those of `preadv2(2)`, are in
//! [`borrowed`].
//!
//! # What `since` is for
//! It is for messages, not for decisions. Stable and distribution kernels carry some of it earlier
//! (Linux 5.10.162 took over most of io_uring from 5.15), and a build can leave some of it out
//! (futexes, epoll). A program that wants to know asks the kernel: by `IORING_REGISTER_PROBE`, by
//! the feature bits, or by trying.

mod arguments;
pub mod borrowed;
mod completions;
mod entries;
mod kernel;
mod operations;
mod register;
mod setup;
mod table;
mod zcrx;

#[cfg(test)]
mod tests;

pub use arguments::{
    BPF_COMMANDS, BPF_FILTER_FLAGS, NAPI_COMMANDS, NAPI_TRACKING, PROBE_FLAGS, QUERIES,
    REGION_TYPES, REGION_USES, RESTRICTIONS, SLOT_VALUES, WAIT_ARGUMENT_FLAGS, WORKER_KINDS,
};
pub use completions::{
    COMPLETION_FLAGS, CQ_RING_FLAGS, CompletionFlags, NOTIFICATION_FLAGS, SQ_RING_FLAGS,
    TIMESTAMP_FLAGS, buffer_id, completion_flags,
};
pub use entries::{
    ACCEPT_FLAGS, CANCEL_FLAGS, ENTRY_FLAGS, FSYNC_FLAGS, INSTALL_FLAGS, MOCK_COMMANDS,
    MOCK_COPY_FLAGS, MOCK_CREATE_FLAGS, MOCK_FEATURES, MOCK_MANAGER_COMMANDS, MSG_RING_COMMANDS,
    MSG_RING_FLAGS, NOP_FLAGS, POLL_FLAGS, RW_ATTRIBUTES, SEND_RECV_FLAGS, SOCKET_COMMANDS,
    SPLICE_SLOT_FLAGS, TIMEOUT_FLAGS, URING_CMD_FLAGS,
};
pub use kernel::Kernel;
pub use operations::{OPERATION_GROUPS, OPERATIONS};
pub use register::{
    BUFFER_RING_FLAGS, CLONE_FLAGS, REGISTER_FLAGS, REGISTER_OPERATIONS, RESOURCE_FLAGS,
    RegisterCall, register_call,
};
pub use setup::{ENTER_FLAGS, FEATURES, MMAP_OFFSETS, SETUP_FLAGS};
pub use table::{Entry, Flags, Kind, Name, Table};
pub use zcrx::{
    ZCRX_AREA_FLAGS, ZCRX_CONTROLS, ZCRX_EVENT_FLAGS, ZCRX_EVENTS, ZCRX_FEATURES,
    ZCRX_REGISTER_FLAGS,
};

/// Every table, for a program that prints or searches them all.
pub static TABLES: [&Table; 53] = [
    &OPERATIONS,
    &SETUP_FLAGS,
    &FEATURES,
    &ENTER_FLAGS,
    &REGISTER_OPERATIONS,
    &REGISTER_FLAGS,
    &ENTRY_FLAGS,
    &COMPLETION_FLAGS,
    &SQ_RING_FLAGS,
    &CQ_RING_FLAGS,
    &ACCEPT_FLAGS,
    &SEND_RECV_FLAGS,
    &POLL_FLAGS,
    &TIMEOUT_FLAGS,
    &CANCEL_FLAGS,
    &MSG_RING_COMMANDS,
    &MSG_RING_FLAGS,
    &NOP_FLAGS,
    &FSYNC_FLAGS,
    &INSTALL_FLAGS,
    &URING_CMD_FLAGS,
    &SOCKET_COMMANDS,
    &BUFFER_RING_FLAGS,
    &RESOURCE_FLAGS,
    &CLONE_FLAGS,
    &MMAP_OFFSETS,
    &TIMESTAMP_FLAGS,
    &NOTIFICATION_FLAGS,
    &SPLICE_SLOT_FLAGS,
    &RW_ATTRIBUTES,
    &MOCK_MANAGER_COMMANDS,
    &MOCK_COMMANDS,
    &MOCK_COPY_FLAGS,
    &MOCK_CREATE_FLAGS,
    &MOCK_FEATURES,
    &SLOT_VALUES,
    &PROBE_FLAGS,
    &RESTRICTIONS,
    &WORKER_KINDS,
    &REGION_TYPES,
    &REGION_USES,
    &WAIT_ARGUMENT_FLAGS,
    &NAPI_COMMANDS,
    &NAPI_TRACKING,
    &QUERIES,
    &BPF_COMMANDS,
    &BPF_FILTER_FLAGS,
    &ZCRX_AREA_FLAGS,
    &ZCRX_REGISTER_FLAGS,
    &ZCRX_FEATURES,
    &ZCRX_CONTROLS,
    &ZCRX_EVENTS,
    &ZCRX_EVENT_FLAGS,
];

/// What the catalogue says about a name, io_uring's own or borrowed, as its header spells it.
pub fn find(name: &str) -> Option<&'static Entry> {
    let tables = TABLES.iter().chain(&borrowed::BORROWED);
    tables.flat_map(|table| table.entries).find(|entry| entry.name == name)
}
