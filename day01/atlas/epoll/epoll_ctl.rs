//! EPOLL_CTL: change what an epoll descriptor watches.
//!
//! Since 5.6. Stands for epoll_ctl(2); liburing: `io_uring_prep_epoll_ctl`; crate:
//! `opcode::EpollCtl`.
//! Takes the epoll descriptor, `EPOLL_CTL_ADD`, `MOD` or `DEL`, the descriptor to watch, and an
//! event: what to watch for, and a number to hand back. Returns 0, at once.
//! For a loop that still uses epoll and saves calls; a loop on the ring watches with POLL_ADD.
//! A ring's descriptor can be watched too: it can be read when a completion is there.
//! The builder takes `types::Fixed` as well. The kernel does not: it takes the number as a
//! descriptor, whatever is open there.

use std::os::fd::AsRawFd;
use std::{fs, io};

use atlas::{Entry, Page, Result, pipe};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::epoll;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_EPOLL_CTL", "EPOLL_CTL_ADD", "EPOLL_CTL_MOD", "EPOLL_CTL_DEL"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let epoll = epoll()?;
    let (reader, writer) = pipe()?;
    let (epfd, pipe) = (Fd(epoll.as_raw_fd()), Fd(reader.as_raw_fd()));
    let readable = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0x2a };
    let nothing = libc::epoll_event { events: 0, u64: 0x2b };
    let watches = |number| Ok::<_, io::Error>(fdinfo(epfd)?.contains(number));
    let add = ctl(epfd, libc::EPOLL_CTL_ADD, pipe, &readable);
    // SAFETY: here and below, the events outlive the call.
    unsafe { page.ask("ADD a pipe", &mut ring, add) }?;
    page.saw("/proc/self/fdinfo has it with our number", watches(" 2a ")?)?;
    let change = ctl(epfd, libc::EPOLL_CTL_MOD, pipe, &nothing);
    // SAFETY: as above.
    unsafe { page.ask("MOD it", &mut ring, change) }?;
    page.saw("it has the other number now", watches(" 2b ")?)?;
    let remove = ctl(epfd, libc::EPOLL_CTL_DEL, pipe, &nothing);
    // SAFETY: as above.
    unsafe { page.ask("DEL it", &mut ring, remove) }?;
    page.saw("it is gone from there", !watches("tfd:")?)?;

    let itself = ctl(epfd, libc::EPOLL_CTL_ADD, Fd(ring.as_raw_fd()), &readable);
    // SAFETY: as above.
    unsafe { page.ask("ADD the ring", &mut ring, itself) }?;
    page.saw("epoll_wait(2) says nothing: its completions were taken", ready(epfd) == Ok(0))?;
    // SAFETY: a NOP points at no memory.
    let nop = unsafe { page.start("NOP", &mut ring, opcode::Nop::new().build()) };
    page.saw("epoll_wait(2) says that the ring has a completion", ready(epfd) == Ok(1))?;
    page.answer(&nop, &mut ring)?;
    mistakes(page, &mut ring, epfd, pipe, Fd(writer.as_raw_fd()))
}
// ANCHOR_END: show

fn ctl(epfd: Fd, command: i32, fd: Fd, event: &libc::epoll_event) -> squeue::Entry {
    opcode::EpollCtl::new(epfd, fd, command, (&raw const *event).cast()).build()
}

/// The epoll descriptor watches neither `pipe` nor `other`.
fn mistakes(page: &mut Page, ring: &mut IoUring, epfd: Fd, pipe: Fd, other: Fd) -> Result<()> {
    let event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0x2c };
    let (add, at) = (libc::EPOLL_CTL_ADD, (&raw const event).cast());
    let by_slot = opcode::EpollCtl::new(Fixed(epfd.0 as u32), pipe, add, at).build();
    // SAFETY: here and below, the event outlives the call.
    unsafe { page.ask("ADD by a slot, of a ring that has no slots", ring, by_slot) }?;
    page.saw("the kernel took its number as a descriptor", fdinfo(epfd)?.contains(" 2c "))?;

    let file = page.scratch()?.file("file")?;
    let file = ctl(epfd, add, Fd(file.as_raw_fd()), &event);
    let change = ctl(epfd, libc::EPOLL_CTL_MOD, other, &event);
    let nowhere = opcode::EpollCtl::new(epfd, other, add, std::ptr::null()).build();
    for (asked, entry, errno, why) in [
        ("ADD again", ctl(epfd, add, pipe, &event), Errno::EEXIST, "it is watched: use MOD"),
        ("MOD another", change, Errno::ENOENT, "it is not watched: use ADD"),
        ("ADD a regular file", file, Errno::EPERM, "it is ready at any time: read it"),
        ("ADD the epoll", ctl(epfd, add, epfd, &event), Errno::EINVAL, "it would wait for itself"),
        (
            "ADD to a pipe",
            ctl(pipe, add, other, &event),
            Errno::EINVAL,
            "that is no epoll descriptor",
        ),
        ("ADD with an event at 0", nowhere, Errno::EFAULT, "only DEL needs no event"),
    ] {
        // SAFETY: as above; nothing is mapped at 0, so no memory can be harmed.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// What an epoll descriptor watches: a line `tfd:` for each, with the number of its event.
fn fdinfo(epfd: Fd) -> io::Result<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", epfd.0))
}

/// How many of its descriptors are ready now: epoll_wait(2).
fn ready(epfd: Fd) -> nix::Result<i32> {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: there is room for the one event that is asked for.
    Errno::result(unsafe { libc::epoll_wait(epfd.0, &mut event, 1, 0) })
}
