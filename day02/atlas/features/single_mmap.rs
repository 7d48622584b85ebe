//! FEAT_SINGLE_MMAP: both rings come with one mmap.
//!
//! Since 5.4. The queues' heads, tails and completions lie in one piece of memory, mapped at offset
//! 0 (`IORING_OFF_SQ_RING`); the entries in another (`IORING_OFF_SQES`). Older kernels wanted a
//! second mapping for the completion queue (`IORING_OFF_CQ_RING`): that offset still works.

use std::os::fd::{AsRawFd, BorrowedFd};

use atlas::{Entry, Page, Result};
use common::catalog::MMAP_OFFSETS;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::ring_with;
use crate::look;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_FEAT_SINGLE_MMAP",
        "IORING_OFF_SQ_RING",
        "IORING_OFF_CQ_RING",
        "IORING_OFF_SQES",
    ],
    show,
};

/// No offset of a ring's.
const NOWHERE: u32 = 0x3000_0000;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let before = look::mapped_rings()?;
    let name = "IORING_FEAT_SINGLE_MMAP";
    let has = |params: &io_uring::Parameters| params.is_feature_single_mmap();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let mapped = look::mapped_rings()? - before;
    page.saw("/proc/self/maps: two pages, the queues and the entries", mapped == 2 * 4096)?;

    let nop = opcode::Nop::new().build().user_data(0xa71a5);
    // SAFETY: a NOP points at no memory.
    unsafe { page.ask("NOP with user_data 0xa71a5", &mut ring, nop) }?;
    for what in ["SQ_RING", "CQ_RING", "SQES"] {
        let words = words(&ring, MMAP_OFFSETS.code(what));
        let words = page.call(&format!("another mmap(2), IORING_OFF_{what}"), words)?;
        let part = if what == "SQES" { "the entry" } else { "the completion" };
        page.saw(&format!("{part} is in it"), words.contains(&0xa71a5))?;
    }
    let why = "a ring has nothing there";
    let (asked, errnos) = ("mmap(2), offset 0x30000000", &[Errno::ENOMEM, Errno::EINVAL]);
    page.call_refused_by_one_of(asked, words(&ring, NOWHERE), errnos, why)
}
// ANCHOR_END: show

/// What a ring has mapped at an offset.
fn words(ring: &IoUring, offset: u32) -> Result<[u32; 1024], Errno> {
    let (length, shared) = (4096.try_into().expect("a page"), MapFlags::MAP_SHARED);
    // SAFETY: the descriptor is the ring's; the memory is new, read at once, and unmapped. The
    // kernel writes to it only in an enter, and this program makes no enter here.
    unsafe {
        let fd = BorrowedFd::borrow_raw(ring.as_raw_fd());
        let memory = mmap(None, length, ProtFlags::PROT_READ, shared, fd, offset.into())?;
        let words = memory.cast::<[u32; 1024]>().read();
        munmap(memory, 4096)?;
        Ok(words)
    }
}
