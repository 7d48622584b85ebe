//! REGISTER_EVENTFD, UNREGISTER_EVENTFD: signal an eventfd at each completion.
//!
//! Since 5.2. Takes a descriptor from eventfd(2); liburing: `io_uring_register_eventfd`; crate:
//! `Submitter::register_eventfd`.
//! The bridge to a loop of epoll: the eventfd is readable when there is something to reap. Its
//! number does not say how much. The program can hold it off while it looks anyway:
//! `IORING_CQ_EVENTFD_DISABLED` in the completion queue's flags (5.8).

use std::os::fd::AsRawFd;
use std::ptr;

use atlas::own_ring::OwnRing;
use atlas::{Entry, Page, Result, raw};
use common::catalog::CQ_RING_FLAGS;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{call, count, new_eventfd};

pub const ENTRY: Entry = Entry {
    shows: &["IORING_REGISTER_EVENTFD", "IORING_UNREGISTER_EVENTFD", "IORING_CQ_EVENTFD_DISABLED"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(8)?;
    let mut event = new_eventfd()?;
    page.call("register_eventfd", ring.submitter().register_eventfd(event.as_raw_fd()))?;
    page.saw("its number is 0", count(&mut event)? == 0)?;
    let nop = || opcode::Nop::new().build();
    // SAFETY: here and below, a NOP points at no memory.
    unsafe { page.ask("NOP", &mut ring, nop()) }?;
    page.saw("the eventfd was signalled once", count(&mut event)? == 1)?;
    // SAFETY: as above.
    unsafe { ring.submission().push_multiple(&[nop(), nop(), nop(), nop()]) }?;
    page.call("4 NOPs in one submit", ring.submit_and_wait(4))?;
    let (signals, completions) = (count(&mut event)?, ring.completion().count());
    page.note("signals for 4 completions", signals);
    page.saw("at least one, and not one each: reap all", signals >= 1 && completions == 4)?;

    let why = "there is one already: one a ring";
    let again = ring.submitter().register_eventfd(event.as_raw_fd());
    page.call_refused("register_eventfd again", again, Errno::EBUSY, why)?;
    page.call("unregister_eventfd", ring.submitter().unregister_eventfd())?;
    let again = ring.submitter().unregister_eventfd();
    page.call_refused(
        "unregister_eventfd again",
        again,
        Errno::ENXIO,
        "the ring has no eventfd now",
    )?;
    let (pipe, _other_end) = nix::unistd::pipe()?;
    let not_one = ring.submitter().register_eventfd(pipe.as_raw_fd());
    page.call_refused("register_eventfd: a pipe", not_one, Errno::EINVAL, "no eventfd")?;
    held_off(page)
}
// ANCHOR_END: show

/// The program may set the flag, in memory that the crate maps and does not expose.
fn held_off(page: &mut Page) -> Result<()> {
    let (mut ring, mut event) = (OwnRing::setup(4, 0)?, new_eventfd()?);
    let descriptor = event.as_raw_fd();
    // SAFETY: the call reads one descriptor.
    let registered = unsafe {
        raw::register(ring.number(), call("REGISTER_EVENTFD"), ptr::from_ref(&descriptor), 1)
    };
    page.call("register_eventfd of another ring", registered)?;
    for (flags, signals) in [(CQ_RING_FLAGS.code("EVENTFD_DISABLED"), 0), (0, 1)] {
        ring.set_completion_flags(flags);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.push(&opcode::Nop::new().build()) };
        page.call(&format!("NOP, with the queue's flags {flags}"), ring.enter(1, 1))?;
        page.saw(&format!("signalled {signals} times"), count(&mut event)? == signals)?;
    }
    Ok(())
}
