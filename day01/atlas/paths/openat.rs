//! OPENAT: open a file, as a descriptor or into a slot.
//!
//! Since 5.6. Stands for openat(2); liburing: `io_uring_prep_openat`,
//! `io_uring_prep_openat_direct`; crate: `opcode::OpenAt`.
//! Takes a directory's descriptor, a path, `O_*` flags and a mode, from which the process's umask
//! is taken. Returns the new descriptor. With a slot (`file_index`, since 5.15) it returns 0, and
//! with `IORING_FILE_INDEX_ALLOC` (since 5.19) the slot that the kernel picked.
//! A slot is known before the file is open, so one submission can open, read and close.
//! With O_CREAT, O_TRUNC or O_TMPFILE it runs in a worker thread. Else it is done at once if the
//! path is in the cache.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};

use atlas::{Ask, Entry, Page, Result};
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_OPENAT", "IORING_FILE_INDEX_ALLOC"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    let at = Fd(folder.as_raw_fd());
    let open = || opcode::OpenAt::new(at, c"report".as_ptr());
    let create = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
    let new = open().flags(create).mode(0o600).build();
    // SAFETY: here and below, the path is part of the program.
    let answer = unsafe { page.ask("OPENAT of a new file", &mut ring, new.clone()) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let mut file = unsafe { File::from_raw_fd(answer.result) };
    file.write_all(b"seven b")?;
    let text = fs::read(path.join("report"))?;
    page.saw("what is written to the descriptor is in the file", text == b"seven b")?;
    let why = "with O_EXCL the file must not be there yet";
    // SAFETY: as above.
    unsafe { page.refused("OPENAT of a new file, again", &mut ring, new, Errno::EEXIST, why) }?;

    let table = ring.submitter().register_files_sparse(2);
    let asked = "a table of two empty slots";
    let Some(()) = page.call_since("IORING_RSRC_REGISTER_SPARSE", asked, table)? else {
        return Ok(());
    };
    let mut buffer = [0; 16];
    let read = opcode::Read::new(Fixed(0), buffer.as_mut_ptr(), 16).build();
    let chain = [
        Ask::new(
            "OPENAT into slot 0, linked",
            open().file_index(slot(0)).build().flags(squeue::Flags::IO_LINK),
        ),
        // A read that is shorter than its buffer breaks a link, but not a hard link.
        Ask::new("READ of slot 0, linked", read.flags(squeue::Flags::IO_HARDLINK)),
        Ask::new("CLOSE of slot 0", opcode::Close::new(Fixed(0)).build()),
    ];
    // SAFETY: `ask_all` waits for the read, which is all that uses the buffer.
    unsafe { page.ask_all(&mut ring, chain) }?;
    page.saw("one submission opened, read and closed", buffer.starts_with(b"seven b"))?;
    slots(page, &mut ring, at)
}
// ANCHOR_END: show

fn slots(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let open = || opcode::OpenAt::new(at, c"report".as_ptr());
    let pick = open().file_index(Some(DestinationSlot::auto_target())).build();
    let any = "FILE_INDEX_ALLOC: OPENAT into any slot";
    // SAFETY: here and below, the path is part of the program.
    let first = unsafe { page.ask(any, ring, pick.clone()) }?;
    // SAFETY: as above.
    let second = unsafe { page.ask(any, ring, pick.clone()) }?;
    page.saw("both slots have a file", [first.result, second.result] == [0, 1])?;

    let to_slot = open().flags(libc::O_CLOEXEC).file_index(slot(0)).build();
    for (asked, entry, errno, why) in [
        (any, pick, Errno::ENFILE, "no slot is empty"),
        (
            "OPENAT into slot 2 of two",
            open().file_index(slot(2)).build(),
            Errno::EINVAL,
            "the slots are 0 and 1",
        ),
        (
            "OPENAT into slot 0 with O_CLOEXEC",
            to_slot,
            Errno::EINVAL,
            "exec never passes a slot on: leave the flag out",
        ),
        (
            "OPENAT from slot 0 as the directory",
            open().build().flags(squeue::Flags::FIXED_FILE),
            Errno::EBADF,
            "the directory must be a descriptor: this operation takes no IOSQE_FIXED_FILE",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

fn slot(slot: u32) -> Option<DestinationSlot> {
    DestinationSlot::try_from_slot_target(slot).ok()
}
