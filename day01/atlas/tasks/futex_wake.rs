//! FUTEX_WAKE: wake what waits on a futex.
//!
//! Since 6.7. Stands for FUTEX_WAKE_BITSET of futex(2), and for futex_wake(2), which came with it;
//! liburing: `io_uring_prep_futex_wake`; crate: `opcode::FutexWake`.
//! Takes the address, how many to wake at most, a mask, and `FUTEX2_*` flags. Returns how many
//! waiters it woke: threads in futex(2) and entries of any ring. It does not look at the value. A
//! waiter with `FUTEX2_PRIVATE` is woken only by a wake with that flag. With `FUTEX2_NUMA` the word
//! after the futex names the memory node whose queue is used (from 6.16 on; -1: the kernel picks).

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use atlas::{Entry, Page, Result};
use common::catalog::borrowed::FUTEX_FLAGS;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::unistd::gettid;

use super::{ANY, PRIVATE, U32};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_OP_FUTEX_WAKE", "FUTEX2_NUMA", "FUTEX2_MPOL"], show };

/// 0: wait.
static WORD: AtomicU32 = AtomicU32::new(0);

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let word = WORD.as_ptr().cast_const();
    let wake = |count, mask, flags| opcode::FutexWake::new(word, count, mask, flags).build();
    let thread = thread_that_waits()?;
    WORD.store(1, Ordering::Release);
    // SAFETY: here and below, the word is part of the program.
    let answer = unsafe { page.ask("FUTEX_WAKE of a thread", &mut ring, wake(1, ANY, PRIVATE)) }?;
    page.saw("it woke one, and the thread goes on", answer.result == 1 && thread.join().is_ok())?;

    let wait = |mask| opcode::FutexWait::new(word, 1, mask, PRIVATE).build();
    // SAFETY: as above.
    let ones =
        unsafe { [(); 2].map(|()| page.start("FUTEX_WAIT with mask 1", &mut ring, wait(1))) };
    // SAFETY: as above.
    let two = unsafe { page.start("FUTEX_WAIT with mask 2", &mut ring, wait(2)) };
    for (asked, entry, woken, whom) in [
        (
            "FUTEX_WAKE without PRIVATE",
            wake(9, ANY, U32),
            0,
            "none: all three waiters have PRIVATE",
        ),
        ("FUTEX_WAKE with mask 4", wake(9, 4, PRIVATE), 0, "none: it meets neither 1 nor 2"),
        ("FUTEX_WAKE of 0", wake(0, ANY, PRIVATE), 0, "none, as asked"),
        ("FUTEX_WAKE with mask 2", wake(9, 2, PRIVATE), 1, "the one with mask 2"),
        ("FUTEX_WAKE of u32::MAX", wake(ANY, ANY, PRIVATE), 1, "one of two: the kernel reads -1"),
        ("FUTEX_WAKE of i32::MAX", wake(i32::MAX as u64, ANY, PRIVATE), 1, "the last one"),
    ] {
        // SAFETY: as above.
        let answer = unsafe { page.ask(asked, &mut ring, entry) }?;
        page.saw(whom, answer.result == woken)?;
    }
    page.answer(&two, &mut ring)?;
    for one in ones {
        page.answer(&one, &mut ring)?;
    }
    nodes(page, &mut ring)?;

    for (asked, entry, why) in [
        ("FUTEX_WAKE without a size", wake(1, ANY, 0), "0 means SIZE_U8: add SIZE_U32"),
        ("FUTEX_WAKE with mask 0", wake(1, 0, PRIVATE), "it would meet no waiter"),
        (
            "FUTEX_WAKE of 1 << 32",
            wake(1 << 32, ANY, PRIVATE),
            "a count of 32 bits; i32::MAX means all",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, Errno::EINVAL, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

/// A futex with the number of its memory node.
fn nodes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    #[repr(C, align(8))]
    struct WithNode {
        word: AtomicU32,
        node: AtomicU32,
    }
    static FUTEX: WithNode = WithNode { word: AtomicU32::new(0), node: AtomicU32::new(u32::MAX) };
    let flags = PRIVATE | FUTEX_FLAGS.code("NUMA") | FUTEX_FLAGS.code("MPOL");
    let wake = opcode::FutexWake::new(FUTEX.word.as_ptr(), 1, ANY, flags).build();
    let asked = "NUMA, MPOL: FUTEX_WAKE";
    // SAFETY: both words are part of the program, and atomic.
    if unsafe { page.ask_since("FUTEX2_MPOL", asked, ring, wake) }?.is_some() {
        let node = FUTEX.node.load(Ordering::Relaxed);
        page.saw("the kernel wrote the node behind the word", node != u32::MAX)?;
    }
    Ok(())
}

/// A thread that waits in futex(2) until the word changes.
fn thread_that_waits() -> Result<thread::JoinHandle<()>> {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = tell.send(gettid());
        let command = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        while WORD.load(Ordering::Acquire) == 0 {
            let forever = std::ptr::null::<libc::timespec>();
            // SAFETY: the word is part of the program.
            unsafe { libc::syscall(libc::SYS_futex, WORD.as_ptr(), command, 0, forever) };
        }
    });
    let state = format!("/proc/self/task/{}/stat", told.recv()?);
    while !fs::read_to_string(&state)?.contains(") S ") {
        thread::yield_now();
    }
    Ok(thread)
}
