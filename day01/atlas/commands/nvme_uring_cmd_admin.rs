//! NVME_URING_CMD_ADMIN: ask a disk's controller.
//!
//! A command of an NVMe controller (`/dev/nvme0`), since 5.19. Stands for ioctl(2) with
//! NVME_IOCTL_ADMIN64_CMD; liburing: `io_uring_prep_uring_cmd`; crate: `opcode::UringCmd80`.
//! Takes the 72 bytes of a command (`struct nvme_uring_cmd`), in a ring with SQE128 and CQE32.
//! Identify (6) fills a page with what the controller is; its serial number begins at byte 4.
//! Returns 0, or the controller's status, which is above zero.
//! Needs root.

use atlas::nvme::{Aligned, Command, Disk, SERIAL};
use atlas::{Entry, Page, Result, Where};
use io_uring::{IoUring, cqueue, squeue};

pub const ENTRY: Entry =
    Entry { shows: &["NVME_URING_CMD_ADMIN", "NVME_URING_CMD_ADMIN_VEC"], show };

type Ring = IoUring<squeue::Entry128, cqueue::Entry32>;

/// Identify, and what of: the controller.
const IDENTIFY: u8 = 6;
const CONTROLLER: u32 = 1;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let asked = "a ring with SQE128 and CQE32";
    let Some(mut ring) = page.call_since("IORING_SETUP_SQE128", asked, Ring::builder().build(4))?
    else {
        return Ok(());
    };
    let Some(disk) = Disk::find() else {
        let why = "only the emulated machine's disk is asked, as root";
        return page.cannot("NVME_URING_CMD_ADMIN", why, Where::EmulatedMachine);
    };
    let mut is = Aligned::full_of(0);
    let mut identify = Command::new(IDENTIFY, is.0.as_mut_ptr(), 4096);
    identify.arguments[0] = CONTROLLER;
    let buffers = [libc::iovec { iov_base: is.0.as_mut_ptr().cast(), iov_len: 4096 }];
    let mut vectored = Command::new(IDENTIFY, buffers.as_ptr().cast(), 1);
    vectored.arguments[0] = CONTROLLER;
    let vectored = vectored.build("NVME_URING_CMD_ADMIN_VEC", &disk.controller).build();
    let entry = |command: Command| command.build("NVME_URING_CMD_ADMIN", &disk.controller).build();
    // SAFETY: here and below, the page outlives the call.
    unsafe { page.ask("Identify", &mut ring, entry(identify)) }?;
    let serial = String::from_utf8_lossy(&is.0[4..24]);
    page.saw("its serial number is that of /sys", serial.trim() == SERIAL)?;

    is.0.fill(0);
    // SAFETY: as above.
    unsafe { page.ask("ADMIN_VEC: Identify, into one buffer", &mut ring, vectored) }?;
    page.saw("the same", String::from_utf8_lossy(&is.0[4..24]).trim() == SERIAL)?;

    let unknown = Command::new(0x7f, is.0.as_mut_ptr(), 4096);
    // SAFETY: as above.
    let answer = unsafe { page.ask("a command that there is not", &mut ring, entry(unknown)) }?;
    page.saw("above zero is its status: 1, no such command", answer.result & 0xff == 1)
}
// ANCHOR_END: show
