//! TIMEOUT: complete at a time, or after a number of completions.
//!
//! Since 5.4. Stands for `timerfd_settime(2)`; liburing: `io_uring_prep_timeout`; crate:
//! `opcode::Timeout`.
//! Takes a length of time, or with `ABS` a moment, which the kernel reads at the submit; a clock,
//! which is `CLOCK_MONOTONIC` unless a flag says otherwise; and a number of completions, `count`.
//! Ends with ETIME when the time is over: this is no fault, and yet it breaks a link. Ends with 0
//! when `count` other completions came first; those of TIMEOUTs do not count. With `MULTISHOT` (6.4),
//! `count` is how often the time runs out, and 0 means without end.

use std::ptr;
use std::time::Duration;

use atlas::raw::Fields;
use atlas::{Ask, Entry, Page, Result};
use common::catalog::TIMEOUT_FLAGS;
use io_uring::squeue::Flags;
use io_uring::types::{TimeoutFlags, Timespec};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::time::ClockId;

use super::{LATER, SOON};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_TIMEOUT",
        "IORING_TIMEOUT_ABS",
        "IORING_TIMEOUT_BOOTTIME",
        "IORING_TIMEOUT_REALTIME",
        "IORING_TIMEOUT_MULTISHOT",
        "IORING_TIMEOUT_ETIME_SUCCESS",
        "IORING_TIMEOUT_IMMEDIATE_ARG",
    ],
    show,
};

/// The reason for ETIME.
const OVER: &str = "the time is over";

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let entry = opcode::Timeout::new(&SOON).build();
    // SAFETY: here and below, the kernel reads the time at the submit, which is in the call.
    unsafe { page.refused("TIMEOUT of 1 ms", &mut ring, entry, Errno::ETIME, OVER) }?;

    for (flag, clock, flags) in [
        ("ABS", ClockId::CLOCK_MONOTONIC, TimeoutFlags::ABS),
        ("BOOTTIME", ClockId::CLOCK_BOOTTIME, TimeoutFlags::BOOTTIME),
        ("REALTIME", ClockId::CLOCK_REALTIME, TimeoutFlags::REALTIME),
    ] {
        let moment = Duration::from(clock.now()?) + Duration::from_millis(1);
        let time = Timespec::from(moment);
        let entry = opcode::Timeout::new(&time).flags(flags | TimeoutFlags::ABS).build();
        let (name, ring) = (format!("IORING_TIMEOUT_{flag}"), &mut ring);
        let asked = format!("TIMEOUT until 1 ms from now, by {flag}");
        // SAFETY: as above.
        if unsafe { page.refused_since(&name, &asked, ring, entry, Errno::ETIME, OVER) }? {
            page.saw("its clock is past that", Duration::from(clock.now()?) >= moment)?;
        }
    }

    let nop = || Ask::new("NOP", opcode::Nop::new().build());
    let hour = opcode::Timeout::new(&LATER).count(2).build().user_data(HOUR);
    let hour = Ask::new("TIMEOUT of an hour, or 2 completions", hour);
    // SAFETY: as above.
    let answers = unsafe { page.ask_all(&mut ring, [hour, nop(), nop()]) }?;
    page.saw("it came after the second NOP", answers[2].user_data == HOUR)?;

    again_and_again(page, &mut ring)?;
    in_a_chain(page, &mut ring)?;
    without_a_pointer(page, &mut ring)?;
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

/// A `user_data` to tell the TIMEOUT by.
const HOUR: u64 = 3_600;

/// `IORING_TIMEOUT_MULTISHOT`.
fn again_and_again(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let times = |count| {
        let entry = opcode::Timeout::new(&SOON).flags(TimeoutFlags::MULTISHOT).count(count);
        entry.build()
    };
    let (name, asked) = ("IORING_TIMEOUT_MULTISHOT", "TIMEOUT of 1 ms, once");
    // SAFETY: as above.
    if !unsafe { page.refused_since(name, asked, ring, times(1), Errno::ETIME, OVER) }? {
        return Ok(());
    }
    let ask = Ask::new("TIMEOUT of 1 ms, 3 times", times(3)).refused(Errno::ETIME, OVER);
    // SAFETY: as above.
    let answers = unsafe { page.ask_all(ring, [ask]) }?;
    let more = answers.iter().map(|answer| answer.more()).collect::<Vec<_>>();
    page.saw("the third completion is the last one", more == [true, true, false])
}

/// The end of a TIMEOUT breaks a chain, unless `IORING_TIMEOUT_ETIME_SUCCESS` says not to.
fn in_a_chain(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let timer = |flags| opcode::Timeout::new(&SOON).flags(flags).build();
    let linked = |asked, flags| {
        Ask::new(asked, timer(flags).flags(Flags::IO_LINK)).refused(Errno::ETIME, OVER)
    };
    let nop = || Ask::new("NOP linked to it", opcode::Nop::new().build());
    let why = "ETIME is an error, so it broke the chain: give the TIMEOUT ETIME_SUCCESS";
    let chain =
        [linked("TIMEOUT of 1 ms", TimeoutFlags::empty()), nop().refused(Errno::ECANCELED, why)];
    // SAFETY: as above.
    unsafe { page.ask_all(ring, chain) }?;

    let (name, asked) = ("IORING_TIMEOUT_ETIME_SUCCESS", "TIMEOUT of 1 ms with ETIME_SUCCESS");
    let alone = timer(TimeoutFlags::ETIME_SUCCESS);
    // SAFETY: as above.
    if unsafe { page.refused_since(name, asked, ring, alone, Errno::ETIME, OVER) }? {
        // SAFETY: as above.
        unsafe { page.ask_all(ring, [linked(asked, TimeoutFlags::ETIME_SUCCESS), nop()]) }?;
    }
    Ok(())
}

/// `IORING_TIMEOUT_IMMEDIATE_ARG`, which the crate's builder does not have.
fn without_a_pointer(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let name = "IORING_TIMEOUT_IMMEDIATE_ARG";
    let asked = "TIMEOUT of 1 ms, written into the entry";
    let flags = TIMEOUT_FLAGS.code("IMMEDIATE_ARG");
    let entry = opcode::Timeout::new(ptr::null()).build().addr(1_000_000).op_flags(flags);
    // SAFETY: the number is no address: a kernel that does not know the flag refuses it.
    unsafe { page.refused_since(name, asked, ring, entry, Errno::ETIME, OVER) }.map(drop)
}

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let timer = |time: *const Timespec, flags| opcode::Timeout::new(time).flags(flags).build();
    let both = TimeoutFlags::BOOTTIME | TimeoutFlags::REALTIME;
    let moments = TimeoutFlags::MULTISHOT | TimeoutFlags::ABS;
    let none = TimeoutFlags::empty();
    for (asked, entry, errno, why) in [
        ("TIMEOUT by two clocks", timer(&SOON, both), Errno::EINVAL, "one clock at most"),
        (
            "TIMEOUT with MULTISHOT and ABS",
            timer(&SOON, moments),
            Errno::EINVAL,
            "a moment comes once",
        ),
        ("TIMEOUT without a time", timer(ptr::null(), none), Errno::EFAULT, "no Timespec there"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }

    // CLOCK_MONOTONIC began with the machine: by it, the time of day is decades ahead.
    let now = Timespec::from(Duration::from(ClockId::CLOCK_REALTIME.now()?));
    let entry = timer(&now, TimeoutFlags::ABS);
    // SAFETY: as above.
    let wrong_clock = unsafe { page.start("TIMEOUT until now, REALTIME forgotten", ring, entry) };
    // SAFETY: as above.
    unsafe { page.refused("TIMEOUT of 1 ms", ring, timer(&SOON, none), Errno::ETIME, OVER) }?;
    page.waits(&wrong_clock, ring)?;
    let entry = opcode::TimeoutRemove::new(wrong_clock.user_data()).build();
    // SAFETY: the entry points at nothing.
    unsafe { page.ask("TIMEOUT_REMOVE of it", ring, entry) }?;
    let why = "it was removed: by CLOCK_MONOTONIC it had decades to go";
    page.ended(&wrong_clock, ring, Errno::ECANCELED, why).map(drop)
}
