//! R_DISABLED: start disabled.
//!
//! Since 5.10. liburing: `io_uring_queue_init`; crate: `Builder::setup_r_disabled`.
//! Nothing can be submitted before `IORING_REGISTER_ENABLE_RINGS`. In between, restrictions are
//! registered, and with SINGLE_ISSUER the thread that enables the ring becomes its owner.

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_R_DISABLED"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_r_disabled().build(4);
    let name = "IORING_SETUP_R_DISABLED";
    let Some(mut ring): Option<IoUring> = page.call_since(name, "a ring, R_DISABLED", built)?
    else {
        return Ok(());
    };
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(7)) }?;
    let why = "the ring is not enabled yet; the entry stays in the queue";
    page.call_refused("submit a NOP", ring.submit(), Errno::EBADFD, why)?;
    page.saw("the entry is still there", ring.submission().len() == 1)?;

    page.call("register_enable_rings", ring.submitter().register_enable_rings())?;
    page.call("submit again", ring.submit_and_wait(1))?;
    let completed = ring.completion().next().is_some_and(|completion| completion.user_data() == 7);
    page.saw("now it completed", completed)?;

    let why = "it is enabled already, and there is no way back";
    let again = ring.submitter().register_enable_rings();
    page.call_refused("register_enable_rings, again", again, Errno::EBADFD, why)
}
// ANCHOR_END: show
