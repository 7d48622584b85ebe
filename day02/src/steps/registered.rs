//! The ring's own descriptor, registered.

use std::os::fd::AsRawFd;

use anyhow::Result;
use common::ring::ring_fd_refusal;
use io_uring::{IoUring, opcode};

use super::{interruptible, or_say_why, plain_ring};
use crate::report::Section;

/// An enter names its ring by descriptor, and the kernel looks that up in the table of the
/// process, at every call. A registered ring is named by an index into a small table of the
/// thread's own.
pub fn registered_ring() -> Result<Section> {
    let mut step = Section::new("The ring's own descriptor, registered");
    let shown = show_registered_ring(&mut step, &mut plain_ring()?);
    or_say_why(&mut step, "register_ring_fd (5.18)", shown)?;
    Ok(step)
}

/// Registers the ring, and enters it by its descriptor and by the index. A tracer shows which:
/// the call by index has the flag `IORING_ENTER_REGISTERED_RING`.
///
/// Only the `Submitter` that registered knows the index: `ring.submit()` and its like make a
/// new one at each call, and go on with the descriptor.
pub fn show_registered_ring(step: &mut Section, ring: &mut IoUring) -> Result<()> {
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
    // ANCHOR: two_submitters
    let mut submitter = ring.submitter();
    submitter.register_ring_fd().map_err(|error| ring_fd_refusal(&error))?;
    let mut by_descriptor = interruptible(ring.submit_and_wait(1))?;
    let by_index = interruptible(submitter.submit_and_wait(1))?;
    // The index holds the ring open, even after the descriptor is closed.
    submitter.unregister_ring_fd()?;
    // ANCHOR_END: two_submitters
    while ring.completion().next().is_none() {
        by_descriptor += interruptible(ring.submit_and_wait(1))?;
    }
    let descriptor = ring.as_raw_fd();
    step.row("register_ring_fd (5.18)", "an index, which this submitter remembers");
    step.row_with_enters(
        "ring.submit_and_wait(1)",
        by_descriptor,
        format!("the NOP completed; named by descriptor {descriptor}"),
    );
    step.row_with_enters(
        "submitter.submit_and_wait(1)",
        by_index,
        "its completion is there; named by index",
    );
    Ok(())
}
