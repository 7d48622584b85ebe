//! CLAMP: cut sizes that are too large to the largest allowed.
//!
//! Since 5.6. liburing: `io_uring_queue_init`; crate: `Builder::setup_clamp`.
//! The largest queues are 32768 entries and 65536 completions. Without CLAMP a larger number is
//! EINVAL; with it the ring is made with the largest, and says so in `params`.

use atlas::{Entry, Page, Result, Where};
use io_uring::IoUring;
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_CLAMP"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::new(32769);
    let why = "a submission queue has at most 32768 entries";
    page.call_refused("32769 entries", built, Errno::EINVAL, why)?;

    // The completion queue is cut, not the submission queue: that would take twice the memory.
    let built = IoUring::builder().setup_clamp().setup_cqsize(1 << 20).build(4);
    if matches!(&built, Err(error) if error.raw_os_error() == Some(libc::ENOMEM)) {
        let why = "65536 completions take 1 MiB, more than RLIMIT_MEMLOCK allows";
        page.cannot("a size that is cut", why, Where::Root)?;
    } else {
        let ring: IoUring = page.call("4 entries, CQSIZE 1048576, CLAMP", built)?;
        page.note("completion queue", ring.params().cq_entries());
        page.saw("cut to 65536", ring.params().cq_entries() == 65536)?;
    }
    let built: std::io::Result<IoUring> = IoUring::builder().setup_clamp().build(0);
    let why = "CLAMP lowers a size that is too large; 0 entries are too few";
    page.call_refused("0 entries, CLAMP", built, Errno::EINVAL, why)
}
// ANCHOR_END: show
