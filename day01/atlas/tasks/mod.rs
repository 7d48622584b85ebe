//! Waiting for child processes and for futexes.

use common::catalog::borrowed::{FUTEX_FLAGS, FUTEX_SIZES};

mod futex_wait;
mod futex_waitv;
mod futex_wake;
mod waitid;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] =
    &[waitid::ENTRY, futex_wait::ENTRY, futex_wake::ENTRY, futex_waitv::ENTRY];

/// A futex of 32 bits, the only size up to Linux 7.3.
const U32: u32 = FUTEX_SIZES.code("U32");
/// The same, used only by this process. All its users must set this flag.
const PRIVATE: u32 = U32 | FUTEX_FLAGS.code("PRIVATE");
/// The mask of waiters that accept every wake (`FUTEX_BITSET_MATCH_ANY`): 32 bits.
const ANY: u64 = u32::MAX as u64;

/// Wakes one waiter of a private futex, by futex(2). Returns how many it woke.
fn wake_by_call(word: &std::sync::atomic::AtomicU32) -> i64 {
    let command = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel looks for waiters at the address, and does not read it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), command, 1) }
}
