//! HYBRID_IOPOLL: with IOPOLL, sleep a little before polling.
//!
//! Since 6.13. liburing: `io_uring_queue_init`; crate: none (`atlas::raw::ring`).
//! The kernel learns how long the disk takes, sleeps for half of that, and only then polls: most of
//! the speed of IOPOLL for much less of the CPU.

use atlas::{Entry, Page, Result, raw};
use nix::errno::Errno;

use super::{flag, polled_disk};

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_HYBRID_IOPOLL"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_SETUP_HYBRID_IOPOLL";
    let built = raw::ring(4, flag("IOPOLL") | flag("HYBRID_IOPOLL"));
    let Some(mut ring) = page.call_since(name, "IOPOLL, HYBRID_IOPOLL", built)? else {
        return Ok(());
    };
    polled_disk::read(page, &mut ring)?;

    let why = "it is a way to poll: without IOPOLL there is nothing to poll for";
    let alone = raw::ring(4, flag("HYBRID_IOPOLL"));
    page.call_refused("HYBRID_IOPOLL alone", alone, Errno::EINVAL, why)?;
    polled_disk::refuse_buffered(page, &mut ring)
}
// ANCHOR_END: show
