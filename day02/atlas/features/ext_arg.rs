//! FEAT_EXT_ARG: a wait can carry its own timeout.
//!
//! Since 5.11. `IORING_ENTER_EXT_ARG` makes the last argument of enter a structure with a signal
//! mask and a timeout (`struct io_uring_getevents_arg`); liburing:
//! `io_uring_submit_and_wait_timeout`; crate: `Submitter::submit_with_args`.
//! The deadline of a loop, without a TIMEOUT entry that would take a place in both queues.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result, raw};
use common::catalog::ENTER_FLAGS;
use io_uring::opcode;
use io_uring::types::{SubmitArgs, Timespec};
use nix::errno::Errno;

use super::ring_with;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_EXT_ARG", "IORING_ENTER_EXT_ARG"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_EXT_ARG";
    let has = |params: &io_uring::Parameters| params.is_feature_ext_arg();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let (short, long) = (Timespec::new().nsec(1_000_000), Timespec::new().sec(3600));
    let waited = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&short));
    let why = "1 ms is over, and nothing completed";
    page.call_refused("a wait for 1 completion, at most 1 ms", waited, Errno::ETIME, why)?;
    page.saw("no completion: the timeout is not an entry", ring.completion().is_empty())?;

    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
    let waited = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&long));
    page.call("submit a NOP, and wait for 1, at most an hour", waited)?;
    page.saw("it returned with the completion", ring.completion().next().is_some())?;

    let flags = ENTER_FLAGS.code("GETEVENTS") | ENTER_FLAGS.code("EXT_ARG");
    let argument = [0_u64; 3];
    let enter = |address, size| {
        // SAFETY: the kernel reads at most the structure's 24 bytes.
        unsafe { raw::enter(ring.as_raw_fd(), 0, 0, flags, address, size) }
    };
    let address = argument.as_ptr() as usize;
    let why = "the size must be that of the structure, 24: not of a signal mask";
    page.call_refused("EXT_ARG, size 8", enter(address, 8), Errno::EINVAL, why)?;
    page.call_refused("EXT_ARG, address 16", enter(16, 24), Errno::EFAULT, "not the program's")
}
// ANCHOR_END: show
