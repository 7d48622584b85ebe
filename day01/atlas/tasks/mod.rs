//! Waiting for child processes and for futexes.

use common::catalog::borrowed::{FUTEX_FLAGS, FUTEX_SIZES};

mod futex_wait;
mod futex_waitv;
mod futex_wake;
mod waitid;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] =
    &[waitid::ENTRY, futex_wait::ENTRY, futex_wake::ENTRY, futex_waitv::ENTRY];

/// A futex of 32 bits, which all are up to Linux 7.3.
const U32: u32 = FUTEX_SIZES.code("U32");
/// The same, which only this process uses. All who use it must say so.
const PRIVATE: u32 = U32 | FUTEX_FLAGS.code("PRIVATE");
/// The mask of those who listen to every wake (`FUTEX_BITSET_MATCH_ANY`): 32 bits.
const ANY: u64 = u32::MAX as u64;

/// Wakes one who waits on a private futex, by futex(2). Returns how many it woke.
fn wake_by_call(word: &std::sync::atomic::AtomicU32) -> i64 {
    let command = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel looks for the address among those who wait, and does not read it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), command, 1) }
}
