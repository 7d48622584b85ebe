//! IOSQE_FIXED_FILE: `sqe->fd` is a slot of the registered files.
//!
//! Since 5.1. liburing: `io_uring_sqe_set_flags`; crate: the type of the descriptor, `types::Fixed`
//! or `types::Fd`, sets it or does not.
//! For every operation on one file. The ring holds that file open, so the program may close its
//! descriptor; and the kernel need not look the descriptor up for each entry. Operations that take
//! more than one descriptor have flags of their own for the others (`SPLICE_F_FD_IN_FIXED`), and
//! the folder of a path cannot be a slot.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result};
use io_uring::squeue::Flags;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IOSQE_FIXED_FILE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (socket, mut peer) = UnixStream::pair()?;
    let (for_the_slot, mut peer_of_slot) = UnixStream::pair()?;
    // The number of the one socket's descriptor, and of the other one's slot.
    let number = socket.as_raw_fd();
    let mut table = vec![-1; number as usize + 1];
    table[number as usize] = for_the_slot.as_raw_fd();
    ring.submitter().register_files(&table)?;
    drop(for_the_slot);

    peer.write_all(b"descriptor")?;
    peer_of_slot.write_all(b"slot")?;
    let mut buffer = [0; 16];
    let at = buffer.as_mut_ptr();
    let recv = opcode::Recv::new(Fixed(number as u32), at, 16).build();
    // SAFETY: here and below, the call waits until the entry is done with the buffer.
    let answer = unsafe { page.ask("RECV by that slot", &mut ring, recv) }?;
    page.saw("the slot's bytes came", &buffer[..answer.result as usize] == b"slot")?;
    let recv = opcode::Recv::new(Fd(number), at, 16).build();
    // SAFETY: as above.
    let answer = unsafe { page.ask("RECV by the same number, flag forgotten", &mut ring, recv) }?;
    let other = &buffer[..answer.result as usize] == b"descriptor";
    page.saw("another socket's bytes came: the number was its descriptor", other)?;

    let recv = |slot| opcode::Recv::new(Fixed(slot), at, 16).build();
    let folder = opcode::OpenAt::new(Fd(number), c".".as_ptr()).build().flags(Flags::FIXED_FILE);
    for (asked, entry, why) in [
        ("RECV by an empty slot", recv(number as u32 - 1), "the slot is empty"),
        ("RECV by a slot beyond the table", recv(number as u32 + 1), "the table has no such slot"),
        ("OPENAT in the folder of a slot", folder, "a folder cannot be a slot"),
    ] {
        // SAFETY: as above; the path is a constant.
        unsafe { page.refused(asked, &mut ring, entry, Errno::EBADF, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
