//! REMOVE_BUFFERS: take back buffers that the kernel has not used.
//!
//! Since 5.7. Stands for no call; liburing: `io_uring_prep_remove_buffers`; crate:
//! `opcode::RemoveBuffers`.
//! Takes a group and how many. Returns how many it removed: fewer, if there were fewer. It does not
//! say which. A ring of buffers is unregistered instead.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;

use atlas::{BufferRing, Entry, Page, Result};
use common::memory::forever;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_REMOVE_BUFFERS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let memory = forever([0_u8; 32]).as_mut_ptr();
    let provide = |group| opcode::ProvideBuffers::new(memory, 8, 4, group, 0).build();
    let remove = |count, group| opcode::RemoveBuffers::new(count, group).build();
    // SAFETY: here and below, the memory is never freed.
    unsafe { page.ask("PROVIDE_BUFFERS, 4 in group 7", &mut ring, provide(7)) }?;
    // SAFETY: as above.
    let one = unsafe { page.ask("REMOVE_BUFFERS, 1 of them", &mut ring, remove(1, 7)) }?;
    // SAFETY: as above.
    let rest = unsafe { page.ask("REMOVE_BUFFERS, 100 of them", &mut ring, remove(100, 7)) }?;
    page.saw("it removed 1, then the other 3", [one.result, rest.result] == [1, 3])?;
    let (ours, mut peer) = UnixStream::pair()?;
    peer.write_all(b"hello")?;
    let receive = opcode::Recv::new(Fd(ours.as_raw_fd()), null_mut(), 8).buf_group(7).build();
    let receive = receive.flags(Flags::BUFFER_SELECT);
    let why = "the group is empty";
    // SAFETY: as above.
    unsafe { page.refused("RECV, BUFFER_SELECT", &mut ring, receive, Errno::ENOBUFS, why) }?;

    let registered = BufferRing::register(&ring, 8, 4, 8, 0);
    let asked = "register group 8, a ring of buffers";
    if page.call_since("IORING_REGISTER_PBUF_RING", asked, registered)?.is_some() {
        let why = "a ring of buffers is taken back as a whole";
        let entry = remove(1, 8);
        // SAFETY: as above.
        unsafe { page.refused("REMOVE_BUFFERS of group 8", &mut ring, entry, Errno::EINVAL, why) }?;
    }
    for (asked, entry, errno, why) in [
        ("REMOVE_BUFFERS, 0 of them", remove(0, 7), Errno::EINVAL, "at least 1"),
        ("REMOVE_BUFFERS of group 99", remove(1, 99), Errno::ENOENT, "there is no such group"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
