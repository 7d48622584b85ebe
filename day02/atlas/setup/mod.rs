//! The flags of `io_uring_setup(2)`: what a ring is, for its whole life.

use common::catalog::SETUP_FLAGS;

mod attach_wq;
mod clamp;
mod coop_taskrun;
mod cqe32;
mod cqe_mixed;
mod cqsize;
mod defer_taskrun;
mod hybrid_iopoll;
mod iopoll;
mod no_mmap;
mod no_sqarray;
mod polled_disk;
mod r_disabled;
mod registered_fd_only;
mod single_issuer;
mod sq_aff;
mod sq_rewind;
mod sqe128;
mod sqe_mixed;
mod sqpoll;
mod submit_all;
mod taskrun_flag;

/// The entries of this family, in the order of the flags.
pub const ENTRIES: &[atlas::Entry] = &[
    iopoll::ENTRY,
    sqpoll::ENTRY,
    sq_aff::ENTRY,
    cqsize::ENTRY,
    clamp::ENTRY,
    attach_wq::ENTRY,
    r_disabled::ENTRY,
    submit_all::ENTRY,
    coop_taskrun::ENTRY,
    taskrun_flag::ENTRY,
    sqe128::ENTRY,
    cqe32::ENTRY,
    single_issuer::ENTRY,
    defer_taskrun::ENTRY,
    no_mmap::ENTRY,
    registered_fd_only::ENTRY,
    no_sqarray::ENTRY,
    hybrid_iopoll::ENTRY,
    cqe_mixed::ENTRY,
    sqe_mixed::ENTRY,
    sq_rewind::ENTRY,
];

/// The bit of a setup flag: `flag("SQPOLL")` for `IORING_SETUP_SQPOLL`.
const fn flag(short: &str) -> u32 {
    SETUP_FLAGS.code(short)
}
