//! NOP: do nothing, and complete.
//!
//! Since 5.1. Stands for no call; liburing: `io_uring_prep_nop`; crate: `opcode::Nop`, without
//! its flags (`atlas::raw` adds them).
//! Takes nothing, so it is the entry to try a ring with. Its flags, since 6.10, make it do parts of
//! other operations: look up a descriptor, a slot or a registered buffer, complete with a given
//! result, by way of task work, or with 32 bytes. Returns 0, or the given result.

use atlas::raw::Fields;
use atlas::{Entry, Page, Result};
use common::catalog::NOP_FLAGS;
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_NOP",
        "IORING_NOP_INJECT_RESULT",
        "IORING_NOP_FILE",
        "IORING_NOP_FIXED_FILE",
        "IORING_NOP_FIXED_BUFFER",
        "IORING_NOP_TW",
        "IORING_NOP_CQE32",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    // SAFETY: a NOP points at no memory.
    let answer = unsafe { page.ask("NOP", &mut ring, nop("").user_data(0x696f)) }?;
    page.saw("user_data came back as it was sent", answer.user_data == 0x696f)?;

    let (name, entry) = ("IORING_NOP_INJECT_RESULT", nop("INJECT_RESULT").len(42));
    // SAFETY: as above.
    let answer = unsafe { page.ask_since(name, "NOP with 42 as its result", &mut ring, entry) }?;
    if answer.is_none_or(|answer| answer.result != 42) {
        // Kernels before 6.10 refuse all flags of a NOP, or do not look at them.
        return ENTRY.shows[2..].iter().try_for_each(|name| page.lacks(name));
    }

    let buffer = [0; 64];
    let iovec = libc::iovec { iov_base: buffer.as_ptr() as *mut _, iov_len: buffer.len() };
    ring.submitter().register_files(&[2])?;
    // SAFETY: no entry reads or writes the registered buffer.
    unsafe { ring.submitter().register_buffers(&[iovec]) }?;
    let by_slot = nop("FILE").op_flags(NOP_FLAGS.code("FILE") | NOP_FLAGS.code("FIXED_FILE"));
    for (flag, asked, entry) in [
        ("FILE", "NOP that looks up descriptor 2", nop("FILE").fd(2)),
        ("FIXED_FILE", "NOP that looks up slot 0", by_slot.fd(0)),
        ("FIXED_BUFFER", "NOP that looks up buffer 0", nop("FIXED_BUFFER").buf_index(0)),
        ("TW", "NOP by way of task work", nop("TW")),
    ] {
        let name = NOP_FLAGS.by_name(flag).expect("a flag of NOP").name;
        // SAFETY: a NOP only looks up what it names.
        unsafe { page.ask_since(name, asked, &mut ring, entry) }?;
    }
    large_completion(page)?;
    if page.showed_all() {
        mistakes(page, &mut ring)?;
    }
    Ok(())
}
// ANCHOR_END: show

/// With `IORING_NOP_CQE32`, `off` and `addr` come back in the completion's second half.
fn large_completion(page: &mut Page) -> Result<()> {
    let name = "IORING_NOP_CQE32";
    let built = IoUring::<squeue::Entry, cqueue::Entry32>::builder().build(4);
    let Some(mut ring) = page.call_since("IORING_SETUP_CQE32", "a ring with CQE32", built)? else {
        return Ok(());
    };
    let entry = nop("CQE32").off(7).addr(8);
    // SAFETY: `addr` is a number here, which comes back.
    let answer =
        unsafe { page.ask_since(name, "NOP with 32 bytes to come back", &mut ring, entry) }?;
    page.saw("the two numbers came back", answer.is_none_or(|answer| answer.extra == [7, 8]))
}

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let fixed_file = nop("FILE").op_flags(NOP_FLAGS.code("FILE") | NOP_FLAGS.code("FIXED_FILE"));
    for (asked, entry, errno, why) in [
        ("NOP on descriptor -1", nop("FILE").fd(-1), Errno::EBADF, "nothing is open there"),
        ("NOP on slot 1", fixed_file.fd(1), Errno::EBADF, "the table has one slot, which is 0"),
        (
            "NOP on buffer 1",
            nop("FIXED_BUFFER").buf_index(1),
            Errno::EFAULT,
            "only 0 is registered",
        ),
        (
            "NOP with 32 bytes to come back, in this ring",
            nop("CQE32"),
            Errno::EINVAL,
            "its completions have 16: set it up with CQE32 or CQE_MIXED",
        ),
        ("NOP with flag 1 << 31", nop("").op_flags(1 << 31), Errno::EINVAL, "no kernel has it yet"),
    ] {
        // SAFETY: a NOP only looks up what it names.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// A NOP with one flag, or none.
fn nop(flag: &str) -> squeue::Entry {
    let flags = NOP_FLAGS.by_name(flag).map_or(0, |flag| flag.code);
    opcode::Nop::new().build().op_flags(flags)
}
