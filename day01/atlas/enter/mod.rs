//! The flags of the call that submits and waits, `io_uring_enter(2)`.

mod abs_timer;
mod ext_arg;
mod ext_arg_reg;
mod getevents;
mod no_iowait;
mod registered_ring;
mod sq_wait;
mod sq_wakeup;

use std::io;
use std::os::fd::RawFd;

use atlas::{Page, Result, Where};
use common::catalog::ENTER_FLAGS;
use io_uring::IoUring;
use io_uring::types::Timespec;
use nix::errno::Errno;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[
    getevents::ENTRY,
    ext_arg::ENTRY,
    abs_timer::ENTRY,
    ext_arg_reg::ENTRY,
    no_iowait::ENTRY,
    registered_ring::ENTRY,
    sq_wakeup::ENTRY,
    sq_wait::ENTRY,
];

const GETEVENTS: u32 = ENTER_FLAGS.code("GETEVENTS");
const SQ_WAKEUP: u32 = ENTER_FLAGS.code("SQ_WAKEUP");
const SQ_WAIT: u32 = ENTER_FLAGS.code("SQ_WAIT");
const EXT_ARG: u32 = ENTER_FLAGS.code("EXT_ARG");
const REGISTERED_RING: u32 = ENTER_FLAGS.code("REGISTERED_RING");
const EXT_ARG_REG: u32 = ENTER_FLAGS.code("EXT_ARG_REG");

/// A millisecond.
static SOON: Timespec = Timespec::new().nsec(1_000_000);

/// An hour. Nothing here waits until it is over.
static LATER: Timespec = Timespec::new().sec(3_600);

/// `io_uring_enter(2)` itself: returns how many entries it submitted. `arg` is where the argument
/// lies, and its size.
///
/// The kernel only reads the argument, and answers EFAULT if nothing is there. The callers that
/// pushed the submitted entries guarantee that their memory lives.
fn enter(ring: RawFd, submit: u32, wait: u32, flags: u32, arg: (usize, usize)) -> io::Result<u32> {
    let (at, size) = arg;
    loop {
        // SAFETY: see above.
        let done =
            unsafe { libc::syscall(libc::SYS_io_uring_enter, ring, submit, wait, flags, at, size) };
        match Errno::result(done) {
            // A signal ended the wait.
            Err(Errno::EINTR) => {}
            done => return Ok(done? as u32),
        }
    }
}

/// A ring whose submission queue a kernel thread polls, and which sleeps after a millisecond
/// without entries; `None` for a user who may not have one.
fn polled_ring(page: &mut Page, entries: u32) -> Result<Option<IoUring>> {
    let asked = format!("a ring with SQPOLL, for {entries}");
    match IoUring::builder().setup_sqpoll(1).build(entries) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            let why = "before Linux 5.13, SQPOLL takes CAP_SYS_NICE (before 5.11, CAP_SYS_ADMIN)";
            page.cannot("IORING_SETUP_SQPOLL", why, Where::Root)?;
            Ok(None)
        }
        built => page.call(&asked, built).map(Some),
    }
}

/// No argument for [`enter`].
const NOTHING: (usize, usize) = (0, 0);
