//! REGISTER_EVENTFD_ASYNC: signal only what did not complete at once.
//!
//! Since 5.6. liburing: `io_uring_register_eventfd_async`; crate:
//! `Submitter::register_eventfd_async`.
//! Meant to spare a wake-up for entries that completed inside the submit. It signals only what a
//! worker completed: an operation that waited for readiness and was finished by the program's own
//! thread is not signalled either. A loop that sleeps on this eventfd misses it.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;

use super::{count, new_eventfd};

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_EVENTFD_ASYNC"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut event = new_eventfd()?;
    let registered = ring.submitter().register_eventfd_async(event.as_raw_fd());
    page.call("register_eventfd_async", registered)?;
    let nop = opcode::Nop::new().build();
    // SAFETY: here and below, the entries point at no memory.
    unsafe { page.ask("NOP", &mut ring, nop.clone()) }?;
    page.saw("it completed at once: no signal", count(&mut event)? == 0)?;
    let by_a_worker = nop.flags(squeue::Flags::ASYNC);
    // SAFETY: as above.
    unsafe { page.ask("NOP with IOSQE_ASYNC", &mut ring, by_a_worker) }?;
    let mut signals = 0;
    while signals == 0 {
        signals = count(&mut event)?; // The worker signals after it has completed the entry.
    }
    page.saw("a worker completed it: one signal", signals == 1)?;

    let (ours, mut theirs) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), libc::POLLIN as u32).build();
    // SAFETY: as above.
    let poll = unsafe { page.start("POLL_ADD of a socket", &mut ring, poll) };
    page.call("a byte arrives", theirs.write_all(b"!"))?;
    page.answer(&poll, &mut ring)?;
    let signals = count(&mut event)?;
    page.note("signals for what completed later, without a worker", signals);

    let why = "there is one already: this kind and the other share the place";
    let again = ring.submitter().register_eventfd(event.as_raw_fd());
    page.call_refused("register_eventfd as well", again, Errno::EBUSY, why)
}
// ANCHOR_END: show
