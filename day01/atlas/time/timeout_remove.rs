//! TIMEOUT_REMOVE: end a timeout, or change it.
//!
//! Since 5.5; the change since 5.11. Stands for `timerfd_settime(2)`; liburing:
//! `io_uring_prep_timeout_remove`, `io_uring_prep_timeout_update`; crate:
//! `opcode::TimeoutRemove`, `opcode::TimeoutUpdate`.
//! Takes the timer's `user_data`; to change it, `UPDATE`, the new time, and `ABS` if that is a
//! moment. Of several timers with this `user_data`, the first is meant. Returns 0; the timer itself
//! completes with ECANCELED, or later. The clock stays. `count` does not: a change makes a timer
//! forget it, and one with `MULTISHOT` then goes on without end.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result};
use common::catalog::TIMEOUT_FLAGS;
use io_uring::squeue::Flags;
use io_uring::types::{Fd, TimeoutFlags};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{LATER, SOON};

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_TIMEOUT_REMOVE", "IORING_TIMEOUT_UPDATE", "IORING_LINK_TIMEOUT_UPDATE"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let hour = || opcode::Timeout::new(&LATER).build();
    // SAFETY: here and below, the kernel reads the time at the submit, which is in the call.
    let timer = unsafe { page.start("TIMEOUT of an hour", &mut ring, hour()) };
    let remove = opcode::TimeoutRemove::new(timer.user_data()).build();
    // SAFETY: the entry points at nothing.
    unsafe { page.ask("TIMEOUT_REMOVE", &mut ring, remove) }?;
    page.ended(&timer, &mut ring, Errno::ECANCELED, "it was removed")?;

    // SAFETY: as above.
    let timer = unsafe { page.start("TIMEOUT of an hour", &mut ring, hour()) };
    let update = opcode::TimeoutUpdate::new(timer.user_data(), &SOON).build();
    let name = "IORING_TIMEOUT_UPDATE";
    // SAFETY: as above.
    if unsafe { page.ask_since(name, "change to 1 ms", &mut ring, update) }?.is_none() {
        return Ok(());
    }
    page.ended(&timer, &mut ring, Errno::ETIME, "the time is over, an hour early")?;

    linked(page, &mut ring)?;
    forgotten(page, &mut ring)?;
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

/// The kernel keeps linked timeouts in another list: only `IORING_LINK_TIMEOUT_UPDATE` finds them.
fn linked(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (quiet, _peer) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(Fd(quiet.as_raw_fd()), libc::POLLIN as u32).build();
    let limit = opcode::LinkTimeout::new(&LATER).build();
    let chain = [
        ("POLL_ADD of a quiet socket", poll.flags(Flags::IO_LINK)),
        ("LINK_TIMEOUT of an hour", limit),
    ];
    // SAFETY: as above.
    let started = unsafe { page.start_all(ring, chain) };
    let [poll, limit] = &started[..] else { unreachable!("two were started") };
    let update = opcode::TimeoutUpdate::new(limit.user_data(), &SOON);
    let why = "it is no TIMEOUT: say LINK_TIMEOUT_UPDATE";
    // SAFETY: as above.
    unsafe { page.refused("change it to 1 ms", ring, update.build(), Errno::ENOENT, why) }?;
    let update = opcode::TimeoutUpdate::new(limit.user_data(), &SOON);
    let update = update.flags(TimeoutFlags::LINK_TIMEOUT_UPDATE).build();
    let name = "IORING_LINK_TIMEOUT_UPDATE";
    // SAFETY: as above.
    if unsafe { page.ask_since(name, "change the linked one to 1 ms", ring, update) }?.is_some() {
        page.ended(limit, ring, Errno::ETIME, "the time is over, an hour early")?;
        page.ended(poll, ring, Errno::ECANCELED, "its time is over")?;
    }
    Ok(())
}

/// A changed timer forgets its `count`.
fn forgotten(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let entry = opcode::Timeout::new(&LATER).count(1).build();
    // SAFETY: as above.
    let timer = unsafe { page.start("TIMEOUT of an hour, or 1 completion", ring, entry) };
    let update = opcode::TimeoutUpdate::new(timer.user_data(), &LATER).build();
    // SAFETY: as above.
    unsafe { page.ask("change it to an hour", ring, update) }?;
    // SAFETY: a NOP points at nothing.
    unsafe { page.ask("NOP, a completion", ring, opcode::Nop::new().build()) }?;
    page.waits(&timer, ring)?;
    // SAFETY: as above.
    unsafe {
        page.ask("TIMEOUT_REMOVE", ring, opcode::TimeoutRemove::new(timer.user_data()).build())
    }?;
    page.ended(&timer, ring, Errno::ECANCELED, "it was removed").map(drop)
}

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let nobody = 404;
    let remove = || opcode::TimeoutRemove::new(nobody).build();
    let update = |flags| opcode::TimeoutUpdate::new(nobody, &SOON).flags(flags).build();
    let (missing, invalid) = (Errno::ENOENT, Errno::EINVAL);
    for (asked, entry, errno, why) in [
        ("TIMEOUT_REMOVE of user_data 404", remove(), missing, "no such timer, or it has ended"),
        ("change user_data 404", update(TimeoutFlags::empty()), missing, "the same"),
        (
            "change with REALTIME",
            update(TimeoutFlags::REALTIME),
            invalid,
            "a timer keeps the clock that it began with",
        ),
        (
            "TIMEOUT_REMOVE with ABS",
            remove().op_flags(TIMEOUT_FLAGS.code("ABS")),
            invalid,
            "a removal takes no flags",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
