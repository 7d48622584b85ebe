//! IORING_ENTER_ABS_TIMER: the timeout is a moment, not a length.
//!
//! Since 6.12. liburing: none; crate: `submit_with_args_and_flags`.
//! With `IORING_ENTER_EXT_ARG`. By the ring's clock, which is `CLOCK_MONOTONIC` unless
//! `IORING_REGISTER_CLOCK` chose another. For a loop with deadlines: a wait that a signal ended
//! goes on with the same argument, and no time is lost or gained.

use std::time::Duration;

use atlas::{Entry, Page, Result};
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring};
use nix::errno::Errno;
use nix::time::ClockId;

use super::SOON;

pub const ENTRY: Entry = Entry { shows: &["IORING_ENTER_ABS_TIMER"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring = IoUring::new(4)?;
    let until = |moment: &Timespec| {
        let args = SubmitArgs::new().timespec(moment);
        ring.submitter().submit_with_args_and_flags(1, &args, EnterFlags::ABS_TIMER)
    };
    let clock = ClockId::CLOCK_MONOTONIC;
    let moment = Duration::from(clock.now()?) + Duration::from_millis(1);
    let result = until(&Timespec::from(moment));
    if result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)) {
        return page.call_since("IORING_ENTER_ABS_TIMER", "wait until a moment", result).map(drop);
    }
    page.call_refused("wait until 1 ms from now", result, Errno::ETIME, "the moment has come")?;
    page.saw("the clock is past it", Duration::from(clock.now()?) >= moment)?;

    let result = until(&Timespec::from(moment));
    page.call_refused("wait until then once more", result, Errno::ETIME, "it is past")?;
    let why = "the machine has been up longer than that: it is a moment, not a length";
    page.call_refused("wait until 1 ms, a length by mistake", until(&SOON), Errno::ETIME, why)
}
// ANCHOR_END: show
