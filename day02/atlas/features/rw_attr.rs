//! FEAT_RW_ATTR: reads and writes can carry integrity data.
//!
//! Since 6.14. `attr_type_mask` and `attr_ptr` in the entry name a structure of attributes; the one
//! that there is (`IORING_RW_ATTR_FLAG_PI`) gives a buffer with the checksums of each block, for
//! disks that keep them. liburing: by hand; crate: none (`atlas::raw`).
//! That the kernel understands it is seen without such a disk, too: in what it refuses.

use std::os::fd::AsRawFd;

use atlas::raw::{self, Fields};
use atlas::{Entry, Page, Result, Where};
use common::catalog::FEATURES;
use io_uring::{opcode, squeue, types};
use nix::errno::Errno;

use super::ring_with;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_RW_ATTR"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_RW_ATTR";
    let bit = FEATURES.code("RW_ATTR");
    let has = |params: &io_uring::Parameters| raw::features(params) & bit != 0;
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let file = page.scratch()?.file("data")?;
    let (mut bytes, mut checksums) = ([0_u8; 16], [0_u8; 8]);
    let integrity = Integrity {
        flags: 0,
        app_tag: 0,
        length: 8,
        address: checksums.as_mut_ptr() as u64,
        seed: 0,
        resv: 0,
    };
    let address = bytes.as_mut_ptr();
    let read = |mask: u64, attributes: u64| -> squeue::Entry {
        let read = opcode::Read::new(types::Fd(file.as_raw_fd()), address, 16).build();
        read.addr3(attributes).bytes(56, mask.to_ne_bytes())
    };
    let at = (&raw const integrity) as u64;
    // SAFETY: here and below, all memory lives until the answer is there.
    let with_checksums = read(PI, at);
    let why = "the file's disk keeps no checksums, or the file is not open with O_DIRECT";
    let errnos = &[Errno::EINVAL, Errno::EOPNOTSUPP];
    // SAFETY: as above.
    unsafe {
        page.refused_by_one_of("READ with checksums", &mut ring, with_checksums, errnos, why)
    }?;
    let why = "the kernel reads the structure at the submit";
    // SAFETY: as above; the kernel cannot read at 16, and says so.
    unsafe {
        page.refused("READ, attributes at address 16", &mut ring, read(PI, 16), Errno::EFAULT, why)
    }?;
    let why = "there is one attribute, with bit 0";
    // SAFETY: as above.
    unsafe { page.refused("READ with attribute 2", &mut ring, read(2, at), Errno::EINVAL, why) }?;
    // SAFETY: as above.
    unsafe { page.ask("READ without any", &mut ring, read(0, 0)) }?;
    page.cannot("checksums that are read", "needs a disk that keeps them", Where::OtherMachine)
}
// ANCHOR_END: show

/// `IORING_RW_ATTR_FLAG_PI`.
const PI: u64 = 1;

/// `struct io_uring_attr_pi`.
#[repr(C)]
struct Integrity {
    flags: u16,
    app_tag: u16,
    length: u32,
    address: u64,
    seed: u64,
    resv: u64,
}
