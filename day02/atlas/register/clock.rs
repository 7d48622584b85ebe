//! REGISTER_CLOCK: choose the clock for the timeouts of waits.
//!
//! Since 6.12. Takes `CLOCK_MONOTONIC`, which it is without the call, or `CLOCK_BOOTTIME`, which
//! goes on while the machine is suspended; liburing: `io_uring_register_clock`; crate: none. Only
//! for the timeout of a wait, and there mostly with `IORING_ENTER_ABS_TIMER`: the moment of that
//! clock, and not a length. TIMEOUT entries have flags of their own for it.

use std::io;
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result, raw};
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring};
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_REGISTER_CLOCK", "IORING_ENTER_ABS_TIMER"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring = IoUring::new(4)?;
    let set = register(&ring, libc::CLOCK_BOOTTIME);
    if page.call_since("IORING_REGISTER_CLOCK", "the ring's clock: CLOCK_BOOTTIME", set)?.is_none()
    {
        return Ok(());
    }
    let moment = now(libc::CLOCK_BOOTTIME)? + 1_000_000;
    let why = "the moment came";
    let asked = "a wait until 1 ms from now, ABS_TIMER";
    page.call_refused(asked, wait(&ring, moment), Errno::ETIME, why)?;
    page.saw("that clock has reached it", now(libc::CLOCK_BOOTTIME)? >= moment)?;
    page.call("the ring's clock: CLOCK_MONOTONIC", register(&ring, libc::CLOCK_MONOTONIC))?;
    let moment = now(libc::CLOCK_MONOTONIC)? + 1_000_000;
    page.call_refused(asked, wait(&ring, moment), Errno::ETIME, why)?;
    page.saw("that clock has reached it", now(libc::CLOCK_MONOTONIC)? >= moment)?;

    let why = "a length taken for a moment is long past: a microsecond after the boot";
    let asked = "a wait of 1 µs, with ABS_TIMER";
    page.call_refused(asked, wait(&ring, 1000), Errno::ETIME, why)?;
    let why = "a wait cannot run by a clock that can be set";
    let set = register(&ring, libc::CLOCK_REALTIME);
    page.call_refused("the ring's clock: CLOCK_REALTIME", set, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// `io_uring_register_clock`, which the crate does not have.
fn register(ring: &IoUring, clock: libc::clockid_t) -> io::Result<u32> {
    // `struct io_uring_clock_register`: the clock, and three reserved numbers.
    let clock = [clock as u32, 0, 0, 0];
    // SAFETY: the call reads these 16 bytes. It wants 0 as the count of its arguments.
    unsafe { raw::register(ring.as_raw_fd(), call("REGISTER_CLOCK"), clock.as_ptr(), 0) }
}

/// A clock's nanoseconds.
fn now(clock: libc::clockid_t) -> Result<u64> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `now`.
    Errno::result(unsafe { libc::clock_gettime(clock, &mut now) })?;
    Ok(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Waits for a completion until a moment of the ring's clock. No completion comes.
fn wait(ring: &IoUring, moment: u64) -> io::Result<usize> {
    let moment = Timespec::new().sec(moment / 1_000_000_000).nsec((moment % 1_000_000_000) as u32);
    let arguments = SubmitArgs::new().timespec(&moment);
    loop {
        match ring.submitter().submit_with_args_and_flags(1, &arguments, EnterFlags::ABS_TIMER) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            waited => return waited,
        }
    }
}
