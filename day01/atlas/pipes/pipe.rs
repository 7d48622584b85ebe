//! PIPE: make a pipe, as descriptors or into slots.
//!
//! Since 6.16. Stands for pipe2(2); liburing: `io_uring_prep_pipe`, `io_uring_prep_pipe_direct`;
//! crate: `opcode::Pipe`.
//! Takes the address of two numbers, and `O_*` flags; or a slot for the end to read, and the next
//! one for the end to write, or two of the kernel's choice. Returns 0; the numbers hold what it
//! made, the end to read first. They must live until the completion.
//! It is done at once. A slot that is taken gets the new end, and loses the file that it had.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

use atlas::{Entry, Page, Result};
use io_uring::types::{DestinationSlot, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_PIPE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut ends = [-1; 2];
    let into = &raw mut ends;
    let pipe = |flags: i32| opcode::Pipe::new(into.cast()).flags(flags as u32);
    let packets = pipe(libc::O_CLOEXEC | libc::O_DIRECT).build();
    // SAFETY: here and below, `ends` outlives the call, and only the kernel uses it during it.
    unsafe { page.ask("PIPE of packets (O_DIRECT)", &mut ring, packets) }?;
    // SAFETY: the kernel has just made these two descriptors for us.
    let [mut reader, mut writer] = unsafe { into.read().map(|fd| File::from_raw_fd(fd)) };
    writer.write_all(b"one")?;
    writer.write_all(b"two")?;
    let mut text = [0; 8];
    let len = reader.read(&mut text)?;
    page.saw("a read gets one packet, though there are two", &text[..len] == b"one")?;

    ring.submitter().register_files_sparse(3)?;
    let at = |slot| DestinationSlot::try_from_slot_target(slot).ok();
    let in_slots = || pipe(0).file_index(at(0)).build();
    // SAFETY: as above.
    unsafe { page.ask("PIPE into slots 0 and 1", &mut ring, in_slots()) }?;
    // SAFETY: the kernel is done with it.
    page.saw("the numbers are those slots", unsafe { into.read() } == [0, 1])?;
    through_slots(page, &mut ring, b"first")?;
    // SAFETY: as above.
    unsafe { page.ask("PIPE into slots 0 and 1, which are taken", &mut ring, in_slots()) }?;
    through_slots(page, &mut ring, b"again")?;

    let pick = Some(DestinationSlot::auto_target());
    let nowhere = opcode::Pipe::new(std::ptr::null_mut());
    for (asked, entry, errno, why) in [
        ("PIPE into slots 2 and 3", pipe(0).file_index(at(2)), Errno::EINVAL, "the last slot is 2"),
        (
            "PIPE into slots to be picked",
            pipe(0).file_index(pick),
            Errno::ENFILE,
            "one is empty, not two",
        ),
        (
            "PIPE into slots with O_CLOEXEC",
            pipe(libc::O_CLOEXEC).file_index(at(0)),
            Errno::EINVAL,
            "exec never passes a slot on: leave the flag out",
        ),
        ("PIPE with O_APPEND", pipe(libc::O_APPEND), Errno::EINVAL, "pipe2(2) has no such flag"),
        ("PIPE at address 0", nowhere, Errno::EFAULT, "nothing is mapped there"),
    ] {
        // SAFETY: as above, but for address 0, where no memory can be harmed.
        unsafe { page.refused(asked, &mut ring, entry.build(), errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

/// Sends a text through the pipe in slots 0 and 1.
fn through_slots(page: &mut Page, ring: &mut IoUring, text: &'static [u8; 5]) -> Result<()> {
    let mut buffer = [0; 8];
    let write = opcode::Write::new(Fixed(1), text.as_ptr(), 5).build();
    let read = opcode::Read::new(Fixed(0), buffer.as_mut_ptr(), 8).build();
    // SAFETY: text and buffer outlive the calls, and only the kernel uses the buffer during them.
    unsafe {
        page.ask("WRITE of 5 bytes to slot 1", ring, write)?;
        page.ask("READ of slot 0", ring, read)?;
    }
    page.saw("these bytes came through", buffer.starts_with(text))
}
