//! FEAT_NO_IOWAIT: a wait can choose not to count as I/O wait.
//!
//! Since 6.15, by `IORING_ENTER_NO_IOWAIT`; liburing: `io_uring_set_iowait`; crate:
//! `Submitter::submit_with_args_and_flags`.
//! A thread that waits for completions with operations under way counts as waiting for a disk: the
//! CPU's idle time is reported as iowait, and the CPU may be clocked up. A server that waits for
//! the network wants neither. The effect is in `/proc/stat`, in numbers that all programs share.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result, raw};
use common::catalog::ENTER_FLAGS;
use io_uring::EnterFlags;
use io_uring::types::{SubmitArgs, Timespec};
use nix::errno::Errno;

use super::ring_with;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_FEAT_NO_IOWAIT", "IORING_ENTER_NO_IOWAIT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_NO_IOWAIT";
    let has = |params: &io_uring::Parameters| params.is_feature_no_iowait();
    let Some(ring) = ring_with(page, name, has)? else { return Ok(()) };
    let short = Timespec::new().nsec(1_000_000);
    let arguments = SubmitArgs::new().timespec(&short);
    let wait = |flags| ring.submitter().submit_with_args_and_flags(1, &arguments, flags);
    let why = "1 ms is over, and nothing completed";
    page.call_refused("a wait of 1 ms", wait(EnterFlags::empty()), Errno::ETIME, why)?;
    page.call_refused("the same, NO_IOWAIT", wait(EnterFlags::NO_IOWAIT), Errno::ETIME, why)?;
    let flags = ENTER_FLAGS.entries.iter().fold(0, |flags, entry| flags | entry.code);
    // SAFETY: the call is refused for its flags.
    let unknown = unsafe { raw::enter(ring.as_raw_fd(), 0, 0, flags + 1, 0, 0) };
    let why = "a kernel refuses flags that it does not know: so it can be asked";
    page.call_refused("an enter with a flag beyond the known ones", unknown, Errno::EINVAL, why)
}
// ANCHOR_END: show
