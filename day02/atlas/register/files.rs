//! REGISTER_FILES, UNREGISTER_FILES: make a table of slots from descriptors.
//!
//! Since 5.1. Takes an array of descriptors, -1 for an empty slot; liburing:
//! `io_uring_register_files`; crate: `Submitter::register_files`.
//! An entry with `IOSQE_FIXED_FILE` (`types::Fixed`) names a slot: no look-up in the process's
//! table, no count of users to change. A slot keeps its file open after the descriptor is closed.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;

use crate::look;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_REGISTER_FILES", "IORING_UNREGISTER_FILES", "IOSQE_FIXED_FILE"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let scratch = page.scratch()?;
    fs::write(scratch.path("data"), "through a slot")?;
    let file: OwnedFd = fs::File::open(scratch.path("data"))?.into();
    let descriptor = file.as_raw_fd();
    let mut ring = IoUring::new(4)?;
    let registered = ring.submitter().register_files(&[descriptor, -1]);
    page.call("register_files: a file, and an empty slot", registered)?;
    let slots = look::fdinfo(&ring, "UserFiles")?;
    page.saw("/proc/self/fdinfo: UserFiles 2", slots == Some("2".into()))?;

    drop(file);
    let mut bytes = [0; 14];
    let address = bytes.as_mut_ptr();
    let slot =
        |slot| -> squeue::Entry { opcode::Read::new(types::Fixed(slot), address, 14).build() };
    // SAFETY: here and below, `bytes` is looked at when the read has completed.
    unsafe { page.ask("READ of slot 0, the descriptor closed", &mut ring, slot(0)) }?;
    page.saw("the file's bytes", bytes == *b"through a slot")?;

    let plain = opcode::Read::new(types::Fd(descriptor), address, 14).build();
    let why = "the number was the descriptor's, and that is closed";
    // SAFETY: as above.
    unsafe { page.refused("READ of the descriptor", &mut ring, plain, Errno::EBADF, why) }?;
    for (number, why) in [(1, "the slot is empty"), (2, "there is no slot 2")] {
        let asked = format!("READ of slot {number}");
        // SAFETY: as above.
        unsafe { page.refused(&asked, &mut ring, slot(number), Errno::EBADF, why) }?;
    }
    let again = ring.submitter().register_files(&[0]);
    let why = "there is a table already: update it, or unregister it first";
    page.call_refused("register_files again", again, Errno::EBUSY, why)?;
    page.call("unregister_files", ring.submitter().unregister_files())?;
    let again = ring.submitter().unregister_files();
    page.call_refused("unregister_files again", again, Errno::ENXIO, "there is no table")?;
    let itself = ring.submitter().register_files(&[ring.as_raw_fd()]);
    let why = "a ring in a table of slots could keep itself alive";
    page.call_refused("register_files: the ring itself", itself, Errno::EBADF, why)
}
// ANCHOR_END: show
