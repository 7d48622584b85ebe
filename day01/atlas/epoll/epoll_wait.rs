//! EPOLL_WAIT: fetch the events of an epoll descriptor.
//!
//! Since 6.15. Stands for epoll_wait(2); liburing: `io_uring_prep_epoll_wait`; crate:
//! `opcode::EpollWait`.
//! Takes an epoll descriptor or a slot, an array of events and its length. Waits until there is an
//! event; no thread waits meanwhile. Returns how many events it filled in; the array must live
//! until then. It has no timeout: link a LINK_TIMEOUT to it.
//! For a loop that moves from epoll to a ring step by step: the ring waits for both.

use std::os::fd::AsRawFd;

use atlas::{Ask, Entry, Page, Result, pipe};
use common::memory::forever;
use io_uring::types::{Fd, Fixed, Timespec};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;
use nix::unistd;

use super::epoll;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_EPOLL_WAIT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let epoll = epoll()?;
    let (reader, writer) = pipe()?;
    let (epfd, pipe) = (epoll.as_raw_fd(), reader.as_raw_fd());
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 42 };
    // SAFETY: the event outlives the call.
    Errno::result(unsafe { libc::epoll_ctl(epfd, libc::EPOLL_CTL_ADD, pipe, &mut event) })?;
    let events = forever([libc::epoll_event { events: 0, u64: 0 }; 4]).as_mut_ptr();
    let wait = |len| opcode::EpollWait::new(Fd(epfd), events.cast(), len).build();
    // SAFETY: here and below, the array is never freed, and only the kernel uses it while an entry
    // is under way.
    let waiting = unsafe { page.start("EPOLL_WAIT", &mut ring, wait(4)) };
    unistd::write(&writer, b"x")?;
    let answer = page.answer(&waiting, &mut ring)?;
    // SAFETY: the kernel has filled in the first event, and is done with it.
    let event = unsafe { events.read() };
    let is_ours = { event.u64 } == 42 && event.events == libc::EPOLLIN as u32;
    page.saw("one event: the pipe can be read, with our number", answer.result == 1 && is_ours)?;
    ring.submitter().register_files(&[epfd])?;
    let by_slot = opcode::EpollWait::new(Fixed(0), events.cast(), 4).build();
    // SAFETY: as above.
    unsafe { page.ask("EPOLL_WAIT by slot, before the pipe is read", &mut ring, by_slot) }?;
    unistd::read(&reader, &mut [0; 8])?;

    let a_millisecond = Timespec::new().nsec(1_000_000);
    let why = "nothing came in time; the LINK_TIMEOUT ended it";
    let chain = [
        Ask::new("EPOLL_WAIT, linked", wait(4).flags(squeue::Flags::IO_LINK))
            .refused(Errno::ECANCELED, why),
        Ask::new("LINK_TIMEOUT of 1 ms", opcode::LinkTimeout::new(&a_millisecond).build())
            .refused(Errno::ETIME, "the time is over"),
    ];
    // SAFETY: as above, and the time outlives the call.
    unsafe { page.ask_all(&mut ring, chain) }?;

    let flags = opcode::EpollWait::new(Fd(epfd), events.cast(), 4).flags(1).build();
    let not_epoll = opcode::EpollWait::new(Fd(pipe), events.cast(), 4).build();
    for (asked, entry, why) in [
        ("EPOLL_WAIT for no events", wait(0), "the array needs room for one"),
        ("EPOLL_WAIT on a pipe", not_epoll, "that is no epoll descriptor"),
        ("EPOLL_WAIT with a flag", flags, "it has none"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, Errno::EINVAL, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
