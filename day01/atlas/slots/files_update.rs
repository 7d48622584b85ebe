//! FILES_UPDATE: put descriptors into slots, and take them out.
//!
//! Since 5.6. Does what the register call `IORING_REGISTER_FILES_UPDATE` does; liburing:
//! `io_uring_prep_files_update`; crate: `opcode::FilesUpdate`.
//! Takes a list of descriptors and the first slot for them: -1 empties a slot, -2
//! (`IORING_REGISTER_FILES_SKIP`) leaves it as it is. With `IORING_FILE_INDEX_ALLOC` as the slot
//! (5.19), the kernel picks free slots and writes their numbers over the descriptors. Returns how
//! many it did, which is fewer if one of the later ones is bad. A slot keeps its file open; an entry
//! names it with `IOSQE_FIXED_FILE`, as `types::Fixed` does.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result, Where, is_older_than};
use io_uring::types::Fixed;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_FILES_UPDATE", "IORING_REGISTER_FILES_SKIP", "IOSQE_FIXED_FILE"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    let file = page.scratch()?.file("file")?;
    let pair = [ours.as_raw_fd(), file.as_raw_fd()];
    let why = "there is no table: register one first";
    // SAFETY: here and below, the list lives until the completion.
    unsafe {
        page.refused("FILES_UPDATE in a new ring", &mut ring, update(&pair, 0), Errno::ENXIO, why)
    }?;

    page.call("register a table of 4 empty slots", ring.submitter().register_files(&[-1; 4]))?;
    // SAFETY: as above.
    unsafe { page.ask("FILES_UPDATE of slots 0 and 1", &mut ring, update(&pair, 0)) }?;
    drop(ours);
    let write = opcode::Write::new(Fixed(0), b"hello".as_ptr(), 5).build();
    // SAFETY: the bytes are constant.
    unsafe { page.ask("WRITE to slot 0", &mut ring, write.clone()) }?;
    let mut received = [0; 5];
    peer.read_exact(&mut received)?;
    page.saw("the peer reads it, though our descriptor is closed", received == *b"hello")?;

    let skip_and_empty = [-2, -1];
    let asked = "FILES_UPDATE: skip slot 0, empty slot 1";
    // SAFETY: as above.
    unsafe { page.ask(asked, &mut ring, update(&skip_and_empty, 0)) }?;
    // SAFETY: as above.
    unsafe { page.ask("WRITE to slot 0", &mut ring, write) }?;
    let fsync = opcode::Fsync::new(Fixed(1)).build();
    // SAFETY: the entry points at no memory.
    unsafe { page.refused("FSYNC of slot 1", &mut ring, fsync, Errno::EBADF, "it is empty") }?;
    free_slots(page, &mut ring, &file)?;
    mistakes(page, &mut ring, &file)
}

fn free_slots(page: &mut Page, ring: &mut IoUring, file: &File) -> Result<()> {
    if is_older_than("5.19") {
        let why = "FILES_UPDATE finds free slots since Linux 5.19";
        return page.cannot("IORING_FILE_INDEX_ALLOC", why, Where::NewerKernel);
    }
    // Slot 0 is taken, and 1 to 3 are free.
    let mut five = [file.as_raw_fd(); 5];
    let asked = "FILES_UPDATE, 5 descriptors into free slots";
    // SAFETY: here and below, the list lives until the completion.
    let answer = unsafe { page.ask(asked, ring, into_free_slots(&mut five)) }?;
    page.saw("only 3 found one", answer.result == 3)?;
    page.saw("their slots are in the list", five[..3] == [1, 2, 3])?;
    let entry = into_free_slots(&mut five[3..]);
    let asked = "FILES_UPDATE, the other 2 into free slots";
    // SAFETY: as above.
    unsafe { page.refused(asked, ring, entry, Errno::ENFILE, "the table is full") }
}

fn mistakes(page: &mut Page, ring: &mut IoUring, file: &File) -> Result<()> {
    let fd = file.as_raw_fd();
    // SAFETY: here and below, the list lives until the completion.
    let answer =
        unsafe { page.ask("FILES_UPDATE, the second is bad", ring, update(&[fd, i32::MAX], 0)) }?;
    page.saw("1 of 2: compare the result with the number asked for", answer.result == 1)?;
    let itself = [ring.as_raw_fd()];
    for (asked, list, first, errno, why) in [
        ("FILES_UPDATE, the first is bad", &[i32::MAX, fd][..], 0, Errno::EBADF, "it is not open"),
        ("FILES_UPDATE of slots 3 and 4", &[fd, fd], 3, Errno::EINVAL, "the table ends with 3"),
        ("FILES_UPDATE with a ring", &itself, 0, Errno::EBADF, "no slot can hold a ring"),
        ("FILES_UPDATE of nothing", &[], 0, Errno::EINVAL, "at least one"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, update(list, first), errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

/// `IORING_FILE_INDEX_ALLOC` (`linux/io_uring.h`): `~0U`.
const FILE_INDEX_ALLOC: i32 = -1;

fn update(fds: &[i32], first: i32) -> squeue::Entry {
    opcode::FilesUpdate::new(fds.as_ptr(), fds.len() as u32).offset(first).build()
}

/// The kernel writes the slots over the descriptors.
fn into_free_slots(fds: &mut [i32]) -> squeue::Entry {
    let fds_and_slots = fds.as_mut_ptr();
    opcode::FilesUpdate::new(fds_and_slots, fds.len() as u32).offset(FILE_INDEX_ALLOC).build()
}
