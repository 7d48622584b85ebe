//! The ring's own descriptor, registered.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use anyhow::Result;
use common::environment::errno_name;
use common::ring;
use io_uring::{IoUring, opcode};

use super::{interruptible, plain_ring};
use crate::report::Step;

// ANCHOR: registered_ring
/// An enter names its ring by descriptor, and the kernel looks that up in the table of the
/// process, at every call. A registered ring is named by an index into a small table of the
/// thread's own.
pub fn registered_ring() -> Result<Step> {
    let mut step = Step::new("The ring's own descriptor, registered");
    let shown = show_registered_ring(&mut step, &mut plain_ring()?);
    super::or_say_why(&mut step, "register_ring_fd (5.18)", shown)?;
    Ok(step)
}

/// Registers the ring, and enters it while its descriptor is another file.
///
/// Only the `Submitter` that registered knows the index: `ring.submit()` and its like make a
/// new one at each call, and go on with the descriptor. So there is one to keep.
pub fn show_registered_ring(step: &mut Step, ring: &mut IoUring) -> Result<()> {
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
    // ANCHOR: two_submitters
    let mut submitter = ring.submitter();
    ring::register_ring_fd(&mut submitter)?;

    let descriptor = ring.as_raw_fd();
    let hidden = Hidden::behind_dev_null(ring)?;
    let by_descriptor = ring.submit_and_wait(1);
    let by_index = submitter.submit_and_wait(1);
    // ANCHOR_END: two_submitters
    drop(hidden);
    // The index holds the ring open: kept, it would outlive the descriptor.
    submitter.unregister_ring_fd()?;

    step.ask(
        "register_ring_fd (5.18)",
        format!("an index; then /dev/null put over fd {descriptor}"),
    );
    let answer = match by_descriptor {
        Ok(_) => "completed".to_string(),
        Err(error) => format!("{}: it names the descriptor", errno_name(&error)),
    };
    step.submit("ring.submit_and_wait(1)", 1, answer);
    let mut enters = interruptible(by_index)?;
    while ring.completion().next().is_none() {
        enters += interruptible(ring.submit_and_wait(1))?;
    }
    step.submit("submitter.submit_and_wait(1)", enters, "the NOP completed: it names the index");
    Ok(())
}
// ANCHOR_END: registered_ring

/// Keeps /dev/null in the place of a ring's descriptor, until it is dropped.
///
/// Nothing but an enter looks at the descriptor meanwhile: the queues stay mapped, and no
/// other thread of this program runs. The borrow keeps the ring from closing a descriptor
/// that is not its own.
struct Hidden<'ring> {
    ring: &'ring IoUring,
    copy: OwnedFd,
}

impl Hidden<'_> {
    fn behind_dev_null(ring: &IoUring) -> io::Result<Hidden<'_>> {
        // SAFETY: the ring is borrowed for the whole call, and so is its descriptor open.
        let copy = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) }.try_clone_to_owned()?;
        let hidden = Hidden { ring, copy };
        hidden.put(&File::open("/dev/null")?)?;
        Ok(hidden)
    }

    /// Makes the descriptor name another file.
    fn put(&self, file: &impl AsRawFd) -> io::Result<()> {
        // SAFETY: takes numbers and touches no memory. The descriptor stays the ring's to
        // close, whatever file it names.
        match unsafe { libc::dup3(file.as_raw_fd(), self.ring.as_raw_fd(), libc::O_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // Both descriptors are open, so it cannot fail; if it did, the next enter would tell.
        let _ = self.put(&self.copy);
    }
}

#[cfg(test)]
mod tests {
    use common::drive::io_uring_or_skip;

    use super::*;
    use crate::steps::nop;

    #[test]
    fn the_descriptor_is_the_rings_again() {
        if !io_uring_or_skip("the_descriptor_is_the_rings_again") {
            return;
        }
        let mut ring = plain_ring().expect("a ring");
        let hidden = Hidden::behind_dev_null(&ring).expect("two more descriptors");
        let refused = ring.submit_and_wait(1).expect_err("/dev/null is no ring");
        assert_eq!(refused.raw_os_error(), Some(libc::EOPNOTSUPP));
        drop(hidden);
        assert_eq!(nop(&mut ring).expect("it is entered"), 1);
    }
}
