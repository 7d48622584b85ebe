//! EPOLL_CTL: change what an epoll descriptor watches.
//!
//! Since 5.6. Stands for epoll_ctl(2); liburing: `io_uring_prep_epoll_ctl`; crate:
//! `opcode::EpollCtl`.
//! Takes the epoll descriptor, `EPOLL_CTL_ADD`, `MOD` or `DEL`, the descriptor to watch, and an
//! event: what to watch for, and a number to hand back. Returns 0, at once.
//! For a loop that is still epoll's and saves calls; a ring's own loop watches with POLL_ADD.
//! The builder takes `types::Fixed` as well. The kernel does not: it takes the number as a
//! descriptor, whatever is open there.

use std::os::fd::AsRawFd;
use std::{fs, io};

use atlas::{Entry, Page, Result, pipe};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};
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
    let ctl = |fd: Fd, command, event: &libc::epoll_event| {
        opcode::EpollCtl::new(epfd, fd, command, (&raw const *event).cast()).build()
    };
    let entry = ctl(pipe, libc::EPOLL_CTL_ADD, &readable);
    // SAFETY: here and below, the event outlives the call.
    unsafe { page.ask("ADD a pipe", &mut ring, entry) }?;
    let watches = |data| Ok::<_, io::Error>(fdinfo(epfd)?.contains(&format!("data: {data:>16} ")));
    page.saw("/proc/self/fdinfo has it with our number", watches("2a")?)?;
    let entry = ctl(pipe, libc::EPOLL_CTL_MOD, &nothing);
    // SAFETY: as above.
    unsafe { page.ask("MOD it", &mut ring, entry) }?;
    page.saw("it has the other number now", watches("2b")?)?;
    // SAFETY: as above.
    unsafe { page.ask("DEL it", &mut ring, ctl(pipe, libc::EPOLL_CTL_DEL, &nothing)) }?;
    page.saw("it is gone from there", !fdinfo(epfd)?.contains("tfd:"))?;

    let slot = Fixed(epfd.0 as u32);
    let event = (&raw const readable).cast();
    let by_slot = opcode::EpollCtl::new(slot, pipe, libc::EPOLL_CTL_ADD, event).build();
    // SAFETY: as above.
    unsafe { page.ask("ADD by a slot, of a ring that has no slots", &mut ring, by_slot) }?;
    page.saw("the kernel took its number as a descriptor", watches("2a")?)?;

    let file = page.scratch()?.file("file")?;
    let file = ctl(Fd(file.as_raw_fd()), libc::EPOLL_CTL_ADD, &readable);
    let other = Fd(writer.as_raw_fd());
    let not_epoll = opcode::EpollCtl::new(pipe, other, libc::EPOLL_CTL_ADD, event).build();
    let nowhere = opcode::EpollCtl::new(epfd, other, libc::EPOLL_CTL_ADD, std::ptr::null()).build();
    for (asked, entry, errno, why) in [
        (
            "ADD again",
            ctl(pipe, libc::EPOLL_CTL_ADD, &readable),
            Errno::EEXIST,
            "it is watched: use MOD",
        ),
        (
            "MOD another",
            ctl(other, libc::EPOLL_CTL_MOD, &readable),
            Errno::ENOENT,
            "it is not watched: use ADD",
        ),
        ("ADD a regular file", file, Errno::EPERM, "it is ready at any time: read it"),
        (
            "ADD the epoll to itself",
            ctl(epfd, libc::EPOLL_CTL_ADD, &readable),
            Errno::EINVAL,
            "it would wait for itself",
        ),
        ("ADD to a pipe", not_epoll, Errno::EINVAL, "that is no epoll descriptor"),
        ("ADD with an event at 0", nowhere, Errno::EFAULT, "only DEL needs no event"),
    ] {
        // SAFETY: as above; nothing is mapped at 0, so no memory can be harmed.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

/// What an epoll descriptor watches: a line `tfd:` for each, with the number of its event.
fn fdinfo(epfd: Fd) -> io::Result<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", epfd.0))
}
