//! IORING_ENTER_EXT_ARG: the argument is a structure with a timeout.
//!
//! Since 5.11; the smallest wait (`min_wait_usec`) since 6.12. liburing:
//! `io_uring_submit_and_wait_timeout`; crate: `submit_with_args`.
//! Takes the longest time to wait, and a signal mask for the wait. Without the flag, the argument
//! is a signal mask. Fails with ETIME when the time is over, unless the same call submitted
//! something: then it returns how many, so look whether there is a completion. It limits the wait
//! only: a submit that blocks takes its time.

use std::os::fd::AsRawFd;
use std::ptr;

use atlas::{Entry, Page, Result};
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{EXT_ARG, GETEVENTS, LATER, SOON, enter};

pub const ENTRY: Entry = Entry { shows: &["IORING_ENTER_EXT_ARG"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    if !ring.params().is_feature_ext_arg() {
        return page.lacks("IORING_ENTER_EXT_ARG");
    }
    let soon = SubmitArgs::new().timespec(&SOON);
    let result = ring.submitter().submit_with_args(1, &soon);
    page.call_refused("wait for 1, at most 1 ms", result, Errno::ETIME, "nothing completed")?;

    // SAFETY: here and below, no entry points at memory, or it is a static.
    unsafe { ring.submission().push(&opcode::Timeout::new(&LATER).build()) }?;
    let submitted = ring.submitter().submit_with_args(1, &soon);
    let submitted = page.call("submit a TIMEOUT of an hour, wait at most 1 ms", submitted)?;
    let nothing = ring.completion().is_empty();
    page.saw("it returned 1, as if all were well; nothing completed", submitted == 1 && nothing)?;

    if ring.params().is_feature_min_timeout() {
        // SAFETY: as above.
        unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
        let gather = SubmitArgs::new().timespec(&LATER).min_wait_usec(1_000);
        let result = ring.submitter().submit_with_args(4, &gather);
        page.call("submit a NOP, wait for 4: 1 ms, or an hour for the first", result)?;
        page.saw("it returned with one", ring.completion().count() == 1)?;
    }
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let fd = ring.as_raw_fd();
    let args = SubmitArgs::new().timespec(&SOON);
    let at = ptr::from_ref(&args).expose_provenance();
    let (size, flags) = (size_of::<SubmitArgs>(), GETEVENTS | EXT_ARG);
    let nowhere = "there is no such structure";
    let result = enter(fd, 0, 1, flags, (8, size));
    page.call_refused("wait with a wrong address", result, Errno::EFAULT, nowhere)?;
    let result = enter(fd, 0, 1, flags, (at, size_of::<Timespec>()));
    page.call_refused("wait with a wrong size", result, Errno::EINVAL, "the size is a Timespec's")?;
    let timespec = (ptr::from_ref(&SOON).expose_provenance(), size_of::<Timespec>());
    let result = enter(fd, 0, 1, GETEVENTS, timespec);
    let why = "without EXT_ARG, the argument is a signal mask, of 8 bytes";
    page.call_refused("wait with a Timespec, EXT_ARG forgotten", result, Errno::EINVAL, why)?;
    let result = enter(fd, 0, 1, EXT_ARG, (at, size));
    page.call("wait with EXT_ARG, GETEVENTS forgotten", result)?;
    page.saw("it returned at once, without a completion", ring.completion().is_empty())
}
