//! FEAT_MIN_TIMEOUT: a wait can last a little longer, to return more.
//!
//! Since 6.12. `min_wait_usec` in the argument of the wait; liburing:
//! `io_uring_submit_and_wait_min_timeout`; crate: `SubmitArgs::min_wait_usec`.
//! A wait for 8 completions returns with all 8 at once; or after the minimum with what there is;
//! or, if there is nothing, with the first one after that, up to the timeout. Batches when it is
//! busy, no delay when it is not.

use std::time::Instant;

use atlas::{Entry, Page, Result};
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::ring_with;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_MIN_TIMEOUT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_MIN_TIMEOUT";
    let has = |params: &io_uring::Parameters| params.is_feature_min_timeout();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let (hour, short) = (Timespec::new().sec(3600), Timespec::new().nsec(20_000_000));
    push_nop(&mut ring)?;
    let gather = SubmitArgs::new().min_wait_usec(1000).timespec(&hour);
    let waited = ring.submitter().submit_with_args(2, &gather);
    page.call("NOP; wait for 2, at least 1 ms, at most an hour", waited)?;
    page.saw("after the minimum it returned with 1", ring.completion().count() == 1)?;

    push_nop(&mut ring)?;
    let (plain, start) = (SubmitArgs::new().timespec(&short), Instant::now());
    let waited = ring.submitter().submit_with_args(2, &plain);
    page.call("NOP; wait for 2, no minimum, at most 20 ms", waited)?;
    page.saw("it waited to the end, though 1 was there", start.elapsed().as_millis() >= 20)?;
    page.saw("1 was there", ring.completion().count() == 1)?;

    let both = SubmitArgs::new().min_wait_usec(1000).timespec(&short);
    let waited = ring.submitter().submit_with_args(1, &both);
    let why = "nothing came, neither in the minimum nor until the timeout";
    page.call_refused("wait for 1, at least 1 ms, at most 20", waited, Errno::ETIME, why)
}
// ANCHOR_END: show

fn push_nop(ring: &mut IoUring) -> Result<()> {
    // SAFETY: a NOP points at no memory.
    Ok(unsafe { ring.submission().push(&opcode::Nop::new().build()) }?)
}
