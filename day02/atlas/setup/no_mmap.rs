//! NO_MMAP: the program brings the memory of the rings.
//!
//! Since 6.5. The addresses stand in `params.cq_off.user_addr` (both queues) and
//! `params.sq_off.user_addr` (the entries). liburing: `io_uring_queue_init_mem`; crate: none
//! (`atlas::own_ring`).
//! For rings in huge pages, or in memory that the program has anyway. Each of the two parts must be
//! contiguous memory (`io_uring_setup(2)`): one page is, and so is a huge page.

use std::os::fd::BorrowedFd;

use atlas::own_ring::OwnRing;
use atlas::{Entry, Page, Result, raw};
use io_uring::opcode;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};

use super::flag;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_NO_MMAP"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let before = look::mapped_rings()?;
    let built = OwnRing::setup(4, flag("NO_MMAP"));
    let asked = "a ring in two pages of our own, NO_MMAP";
    let Some(mut ring) = page.call_since("IORING_SETUP_NO_MMAP", asked, built)? else {
        return Ok(());
    };
    page.saw("/proc/self/maps: no memory of the ring's", look::mapped_rings()? == before)?;
    page.saw("our page has no 0xa71a5 in it", !ring.queues().contains(&0xa71a5))?;
    // SAFETY: a NOP points at no memory.
    unsafe { ring.push(&opcode::Nop::new().build().user_data(0xa71a5)) };
    page.call("a NOP with user_data 0xa71a5", ring.enter(1, 1))?;
    page.saw("the kernel wrote it into our page", ring.queues().contains(&0xa71a5))?;
    let completion = ring.completion();
    page.saw("as the completion", completion.is_some_and(|answer| answer.user_data == 0xa71a5))?;

    let (length, read) = (4096.try_into()?, ProtFlags::PROT_READ);
    // SAFETY: the descriptor is the ring's, open as long as `ring`; new memory, wherever.
    let mapped = unsafe {
        let fd = BorrowedFd::borrow_raw(ring.number());
        mmap(None, length, read, MapFlags::MAP_SHARED, fd, 0)
    };
    let errnos = &[Errno::ENOMEM, Errno::EINVAL];
    let why = "there is nothing to map";
    page.call_refused_by_one_of("mmap(2) of the ring", mapped, errnos, why)?;
    let why = "no address was given: cq_off.user_addr is 0";
    page.call_refused("NO_MMAP, no memory", raw::ring(4, flag("NO_MMAP")), Errno::EFAULT, why)
}
// ANCHOR_END: show
