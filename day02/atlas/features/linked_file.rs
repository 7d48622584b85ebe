//! FEAT_LINKED_FILE: a link can use the slot that the link before it filled.
//!
//! Since 5.18. The file of an entry is looked up when it runs, not when it is submitted. So a chain
//! can open a file into a slot, read it and close it: one submit, no descriptor.

use std::fs;

use atlas::{Ask, Entry, Page, Result};
use io_uring::{opcode, squeue::Flags, types};
use nix::errno::Errno;

use super::ring_with;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_LINKED_FILE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_LINKED_FILE";
    let has = |params: &io_uring::Parameters| params.is_feature_linked_file();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let scratch = page.scratch()?;
    fs::write(scratch.path("chain"), "one submit")?;
    let path = scratch.c_path("chain")?;
    page.call("an empty slot", ring.submitter().register_files(&[-1]))?;
    let mut bytes = [0; 10];
    let slot = types::DestinationSlot::try_from_slot_target(0).expect("slot 0");
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).file_index(Some(slot));
    let read = opcode::Read::new(types::Fixed(0), bytes.as_mut_ptr(), 10).build();
    let close = opcode::Close::new(types::Fixed(0)).build();
    let chain = [
        Ask::new("OPENAT into slot 0, linked to", open.build().flags(Flags::IO_LINK)),
        Ask::new("READ of slot 0, linked to", read.clone().flags(Flags::IO_LINK)),
        Ask::new("CLOSE of slot 0", close.clone()),
    ];
    // SAFETY: `path` and `bytes` live until all three have completed.
    unsafe { page.ask_all(&mut ring, chain) }?;
    page.saw("the file's bytes", bytes == *b"one submit")?;

    let why = "the slot is empty: a read that comes before its open finds nothing";
    let broken = "the link before it failed";
    let chain = [
        Ask::new("READ of slot 0, linked to", read.flags(Flags::IO_LINK))
            .refused(Errno::EBADF, why),
        Ask::new("CLOSE of slot 0", close).refused(Errno::ECANCELED, broken),
    ];
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, chain) }.map(drop)
}
// ANCHOR_END: show
