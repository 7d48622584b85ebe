//! REGISTER_ENABLE_RINGS: enable a ring that was started disabled.
//!
//! Since 5.10. liburing: `io_uring_enable_rings`; crate: `Submitter::register_enable_rings`.
//! Restrictions begin to bind with it. It also starts the poller of a ring with SQPOLL. With
//! SINGLE_ISSUER the thread that calls it owns the ring (see that flag).

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_ENABLE_RINGS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_r_disabled().build(4);
    let mut ring: IoUring = page.call("a ring with R_DISABLED", built)?;
    page.call(
        "what a disabled ring allows: register_files",
        ring.submitter().register_files(&[-1]),
    )?;
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
    let why = "the ring is not enabled";
    page.call_refused("submit", ring.submit(), Errno::EBADFD, why)?;
    page.call("register_enable_rings", ring.submitter().register_enable_rings())?;
    page.call("submit", ring.submit_and_wait(1))?;
    page.saw("the NOP completed", ring.completion().next().is_some())?;

    let why = "it is enabled already";
    let again = ring.submitter().register_enable_rings();
    page.call_refused("register_enable_rings again", again, Errno::EBADFD, why)?;
    let plain = IoUring::new(4)?.submitter().register_enable_rings();
    let why = "it was never disabled: the setup had no R_DISABLED";
    page.call_refused("register_enable_rings of a plain ring", plain, Errno::EBADFD, why)
}
// ANCHOR_END: show
