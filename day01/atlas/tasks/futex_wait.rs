//! FUTEX_WAIT: wait until a futex is woken.
//!
//! Since 6.7. Stands for FUTEX_WAIT_BITSET of futex(2), and for futex_wait(2), which came with it;
//! liburing: `io_uring_prep_futex_wait`; crate: `opcode::FutexWait`.
//! Takes the address of 32 bits, the value that they must still have, a mask that a wake must
//! meet, and `FUTEX2_*` flags, which are not those of futex(2): the size must be among them.
//! Returns 0 when woken, EAGAIN at once if the value is another. So a ring can wait for a lock or
//! a flag of other threads. It has no timeout: link a LINK_TIMEOUT to it, which ends with ETIME
//! (seen on 6.12) or with 1, as a cancel that found something (seen on 6.18).
//! On newer kernels (seen on 6.18 and 7.2, not on 6.12) the first thread that a process starts
//! begins a new queue for private futexes: a wait from before is in the old one, where no wake
//! finds it. Start a thread first, or leave `FUTEX2_PRIVATE` out.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use atlas::{Ask, Entry, Page, Result};
use io_uring::types::Timespec;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::{ANY, PRIVATE, U32, wake_by_call};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_FUTEX_WAIT",
        "FUTEX2_PRIVATE",
        "FUTEX2_SIZE_U8",
        "FUTEX2_SIZE_U16",
        "FUTEX2_SIZE_U32",
        "FUTEX2_SIZE_U64",
    ],
    show,
};

/// 0: nothing has happened yet.
static WORD: AtomicU32 = AtomicU32::new(0);

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    before_the_first_thread(page, &mut ring)?;
    let (go, gone) = mpsc::channel();
    let other = thread::spawn(move || {
        let _ = gone.recv();
        WORD.store(1, Ordering::Release);
        wake_by_call(&WORD)
    });
    let wait = |value| opcode::FutexWait::new(WORD.as_ptr(), value, ANY, PRIVATE).build();
    // SAFETY: here and below, the word is part of the program.
    let waiting = unsafe { page.start("FUTEX_WAIT while the word is 0", &mut ring, wait(0)) };
    go.send(())?;
    page.answer(&waiting, &mut ring)?;
    page.saw("the thread has set the word", WORD.load(Ordering::Acquire) == 1)?;
    page.saw("its futex(2) woke one", other.join().is_ok_and(|woken| woken == 1))?;
    let why = "the word is 1: what was waited for has happened";
    // SAFETY: as above.
    unsafe { page.refused("the same wait again", &mut ring, wait(0), Errno::EAGAIN, why) }?;

    let a_millisecond = Timespec::new().nsec(1_000_000);
    let chain = [
        Ask::new("FUTEX_WAIT while the word is 1, linked", wait(1).flags(squeue::Flags::IO_LINK))
            .refused(Errno::ECANCELED, "it was not woken in time"),
        Ask::new("LINK_TIMEOUT of 1 ms", opcode::LinkTimeout::new(&a_millisecond).build())
            .or_refused(Errno::ETIME, "the time is over"),
    ];
    // SAFETY: as above, and the time outlives the call.
    unsafe { page.ask_all(&mut ring, chain) }?;
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let word = WORD.as_ptr().cast_const();
    let inside = word.wrapping_byte_add(1);
    let wait = |flags| opcode::FutexWait::new(word, 1, ANY, flags);
    let only_private = wait(PRIVATE & !U32);
    for (asked, entry, why) in [
        (
            "FUTEX_WAIT with the flags of futex(2)",
            only_private,
            "PRIVATE alone means SIZE_U8: add SIZE_U32",
        ),
        ("SIZE_U16: FUTEX_WAIT", wait(1), "no kernel has it yet"),
        ("SIZE_U64: FUTEX_WAIT", wait(3), "no kernel has it yet"),
        (
            "FUTEX_WAIT with mask 0",
            opcode::FutexWait::new(word, 1, 0, PRIVATE),
            "no wake would ever meet it",
        ),
        (
            "FUTEX_WAIT with a mask of 64 bits",
            opcode::FutexWait::new(word, 1, !0, PRIVATE),
            "a mask has 32 bits",
        ),
        (
            "FUTEX_WAIT for a value of 64 bits",
            opcode::FutexWait::new(word, 1 << 32, ANY, PRIVATE),
            "a futex has 32 bits",
        ),
        (
            "FUTEX_WAIT at an odd address",
            opcode::FutexWait::new(inside, 1, ANY, PRIVATE),
            "a futex lies at a multiple of 4",
        ),
    ] {
        // SAFETY: the word is part of the program.
        unsafe { page.refused(asked, ring, entry.build(), Errno::EINVAL, why) }?;
    }
    Ok(())
}

/// Shows what the header says of the first thread. A process that has had one sees no effect.
fn before_the_first_thread(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    static EARLY: AtomicU32 = AtomicU32::new(0);
    let entry = opcode::FutexWait::new(EARLY.as_ptr(), 0, ANY, PRIVATE).build();
    // SAFETY: here and below, the word is part of the program.
    let early = unsafe { page.start("FUTEX_WAIT, before a thread starts", ring, entry) };
    let woken = thread::spawn(|| wake_by_call(&EARLY)).join().unwrap_or_default();
    page.note("waits that the new thread's futex(2) has woken", woken);
    if woken > 0 {
        return page.answer(&early, ring).map(drop);
    }
    let cancel = opcode::AsyncCancel::new(early.user_data()).build();
    // SAFETY: it points at no memory.
    unsafe { page.ask("ASYNC_CANCEL of that wait", ring, cancel) }?;
    let why = "the first thread began a new queue: the wake was lost";
    page.ended(&early, ring, Errno::ECANCELED, why).map(drop)
}
