//! CQSIZE: choose the size of the completion queue.
//!
//! Since 5.5. The size stands in `params.cq_entries`; liburing: `io_uring_queue_init_params`;
//! crate: `Builder::setup_cqsize`.
//! Without it the completion queue has twice the entries of the submission queue. A server wants
//! more: one multishot entry makes many completions. The kernel rounds up to a power of two and
//! writes back what it granted.

use atlas::{Entry, Page, Result, raw};
use io_uring::IoUring;
use nix::errno::Errno;

use super::flag;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_CQSIZE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring: IoUring = page.call("4 entries", IoUring::builder().build(4))?;
    page.note("completion queue", ring.params().cq_entries());

    let built = IoUring::builder().setup_cqsize(100).build(4);
    let ring: IoUring = page.call("4 entries, CQSIZE 100", built)?;
    page.note("completion queue", ring.params().cq_entries());
    page.saw("100 was rounded up to 128", ring.params().cq_entries() == 128)?;
    if let Some(mask) = look::fdinfo(&ring, "CqMask")? {
        page.saw("/proc/self/fdinfo: CqMask 0x7f", mask == "0x7f")?;
    }

    let built: std::io::Result<IoUring> = IoUring::builder().setup_cqsize(4).build(8);
    let why = "the completion queue must not be smaller than the submission queue";
    page.call_refused("8 entries, CQSIZE 4", built, Errno::EINVAL, why)?;
    let why = "with CQSIZE, cq_entries says how many: it was left at 0";
    page.call_refused("CQSIZE alone", raw::ring(4, flag("CQSIZE")), Errno::EINVAL, why)?;
    let built: std::io::Result<IoUring> = IoUring::builder().setup_cqsize(65537).build(4);
    let why = "the largest is 65536; with CLAMP that is granted instead";
    page.call_refused("CQSIZE 65537", built, Errno::EINVAL, why)
}
// ANCHOR_END: show
