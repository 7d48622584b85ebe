//! FUTEX_WAITV: wait on several futexes.
//!
//! Since 6.7. Stands for futex_waitv(2); liburing: `io_uring_prep_futex_waitv`; crate:
//! `opcode::FutexWaitV`.
//! Takes an array of `struct futex_waitv`, each with an address, a value and `FUTEX2_*` flags; 128
//! at most. Returns the index of the one that was woken; EAGAIN at once if any value is another. A
//! wake with any mask ends it. Then it waits on none of them any more.

use std::sync::atomic::{AtomicU32, Ordering};

use atlas::{Entry, Page, Result};
use common::memory::forever;
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::{ANY, PRIVATE};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_FUTEX_WAITV"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    static WORDS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
    let mut ring = IoUring::new(4)?;
    let of = |word: &AtomicU32, flags| {
        types::FutexWaitV::new().uaddr(word.as_ptr() as u64).val(0).flags(flags)
    };
    let all = forever([0, 1, 2].map(|index| of(&WORDS[index], PRIVATE)));
    let wait = || opcode::FutexWaitV::new(all.as_ptr(), 3).build();
    // SAFETY: here and below, the array is never freed, and the words are part of the program.
    let waiting = unsafe { page.start("FUTEX_WAITV while all are 0", &mut ring, wait()) };
    let wake = opcode::FutexWake::new(WORDS[2].as_ptr(), 1, ANY, PRIVATE).build();
    // SAFETY: as above.
    let woken = unsafe { page.ask("FUTEX_WAKE of the third", &mut ring, wake.clone()) }?;
    let index = page.answer(&waiting, &mut ring)?.result;
    page.saw("one woken, and the answer is the index", (woken.result, index) == (1, 2))?;
    // SAFETY: as above.
    let woken = unsafe { page.ask("FUTEX_WAKE of the third again", &mut ring, wake) }?;
    page.saw("no entry waits there any more", woken.result == 0)?;

    WORDS[1].store(5, Ordering::Release);
    let why = "the second is 5: look at it and at the others, then wait again";
    // SAFETY: as above.
    unsafe { page.refused("the same wait again", &mut ring, wait(), Errno::EAGAIN, why) }?;
    let no_size = [of(&WORDS[0], 0)];
    let no_place = [types::FutexWaitV::new().flags(PRIVATE)];
    for (asked, entry, errno, why) in [
        (
            "FUTEX_WAITV of none",
            opcode::FutexWaitV::new(all.as_ptr(), 0),
            Errno::EINVAL,
            "from 1 to 128",
        ),
        (
            "FUTEX_WAITV of 129",
            opcode::FutexWaitV::new(all.as_ptr(), 129),
            Errno::EINVAL,
            "from 1 to 128",
        ),
        (
            "FUTEX_WAITV without a size",
            opcode::FutexWaitV::new(no_size.as_ptr(), 1),
            Errno::EINVAL,
            "0 means SIZE_U8: add SIZE_U32",
        ),
        (
            "FUTEX_WAITV at address 0",
            opcode::FutexWaitV::new(no_place.as_ptr(), 1),
            Errno::EFAULT,
            "nothing is mapped there",
        ),
    ] {
        // SAFETY: the arrays outlive the call, and the kernel refuses a count of 129 unread.
        unsafe { page.refused(asked, &mut ring, entry.build(), errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
