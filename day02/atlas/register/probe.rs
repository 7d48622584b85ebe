//! REGISTER_PROBE: ask which operations the kernel has.
//!
//! Since 5.6. Fills in a table with a flag an operation (`IO_URING_OP_SUPPORTED`); liburing:
//! `io_uring_get_probe`; crate: `Submitter::register_probe`.
//! It knows operations only. Setup flags are found out by trying, features by their bits, flags of
//! operations by using them once; REGISTER_QUERY (6.18) says more.

use std::os::fd::AsRawFd;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result, raw};
use common::catalog::OPERATIONS;
use io_uring::{IoUring, Probe, opcode};
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_PROBE", "IO_URING_OP_SUPPORTED"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut probe = Probe::new();
    page.call("register_probe", ring.submitter().register_probe(&mut probe))?;
    let has = |code: u32| probe.is_supported(code as u8);
    let known = OPERATIONS.entries.iter().filter(|operation| has(operation.code));
    page.note("operations that this kernel has", known.count());
    page.note("of the catalogue's", OPERATIONS.entries.len());

    page.saw("NOP is one of them", has(0))?;
    // SAFETY: here and below, the entries point at no memory.
    unsafe { page.ask("NOP", &mut ring, opcode::Nop::new().build()) }?;
    page.saw("operation 250 is not", !has(250))?;
    let unknown = opcode::Nop::new().build().opcode(250);
    let why = "no such operation: the probe said so";
    // SAFETY: as above.
    unsafe { page.refused("operation 250", &mut ring, unknown, Errno::EINVAL, why) }?;

    let used = [1_u64; 2 + 256];
    // SAFETY: the call reads, and would write, 16 bytes and 8 for each of 256 operations.
    let refused =
        unsafe { raw::register(ring.as_raw_fd(), call("REGISTER_PROBE"), used.as_ptr(), 256) };
    let why = "the memory must be zeros: a table that was used before is refused";
    page.call_refused("a probe into used memory", refused, Errno::EINVAL, why)
}
// ANCHOR_END: show
