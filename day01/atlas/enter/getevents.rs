//! IORING_ENTER_GETEVENTS: wait for min_complete completions.
//!
//! Since 5.1. liburing: `io_uring_wait_cqe`; crate: `submit_and_wait`.
//! Without it the call only submits, whatever `min_complete` says. With it, it also does the
//! completion work that only a wait does: that of a ring with `IORING_SETUP_DEFER_TASKRUN`, and
//! the completions that did not fit into the queue. With a `min_complete` of 0 it does that and
//! does not wait. It waits for completions, not for those of what it submits.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::{GETEVENTS, NOTHING, SOON, enter};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_ENTER_GETEVENTS", "IORING_SQ_CQ_OVERFLOW"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(1)?;
    let fd = ring.as_raw_fd();
    let (socket, _peer) = UnixStream::pair()?;
    // SAFETY: here and below, no entry points at memory, or it is a static.
    unsafe { ring.submission().push(&poll(&socket)) }?;
    page.call("enter: submit a POLL_ADD, wait for 1", enter(fd, 1, 1, 0, NOTHING))?;
    page.saw("it came back without a completion", ring.completion().is_empty())?;
    // SAFETY: as above.
    unsafe { ring.submission().push(&opcode::Timeout::new(&SOON).build()) }?;
    let result = enter(fd, 1, 1, GETEVENTS, NOTHING);
    page.call("enter with GETEVENTS: submit a TIMEOUT, wait for 1", result)?;
    page.saw("it came back with one", ring.completion().count() == 1)?;

    // The queue has room for 2 completions. The kernel keeps the third.
    for _ in 0..3 {
        // SAFETY: as above.
        unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
        enter(fd, 1, 0, 0, NOTHING)?;
    }
    page.saw("after 3 NOPs the ring says CQ_OVERFLOW", ring.submission().cq_overflow())?;
    page.saw("2 completions fit", ring.completion().count() == 2)?;
    page.call("enter without flags", enter(fd, 0, 0, 0, NOTHING))?;
    page.saw("the third did not come", ring.completion().is_empty())?;
    page.call("enter with GETEVENTS, for 0", enter(fd, 0, 0, GETEVENTS, NOTHING))?;
    page.saw("the third came", ring.completion().count() == 1)?;

    deferred(page)?;
    mistakes(page, fd)
}
// ANCHOR_END: show

/// A ring that leaves the completion work to the wait.
fn deferred(page: &mut Page) -> Result<()> {
    let asked = "a ring with DEFER_TASKRUN";
    let built = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(4);
    let Some(mut ring) = page.call_since("IORING_SETUP_DEFER_TASKRUN", asked, built)? else {
        return Ok(());
    };
    let ring: &mut IoUring = &mut ring;
    let (socket, mut peer) = UnixStream::pair()?;
    // SAFETY: as above.
    unsafe { page.start("POLL_ADD", ring, poll(&socket)) };
    peer.write_all(b"now")?;
    let fd = ring.as_raw_fd();
    page.call("enter without flags", enter(fd, 0, 0, 0, NOTHING))?;
    page.saw("no completion, though a byte is there", ring.completion().is_empty())?;
    page.call("enter with GETEVENTS, for 0", enter(fd, 0, 0, GETEVENTS, NOTHING))?;
    page.saw("the completion is there", ring.completion().next().is_some())?;
    let elsewhere = std::thread::spawn(move || enter(fd, 0, 0, GETEVENTS, NOTHING));
    let result = elsewhere.join().expect("it does not panic");
    let why = "SINGLE_ISSUER: the ring belongs to the thread that made it";
    page.call_refused("enter with GETEVENTS from another thread", result, Errno::EEXIST, why)
}

fn poll(socket: &UnixStream) -> squeue::Entry {
    opcode::PollAdd::new(Fd(socket.as_raw_fd()), libc::POLLIN as u32).build()
}

fn mistakes(page: &mut Page, ring: i32) -> Result<()> {
    let asleep: IoUring = IoUring::builder().setup_r_disabled().build(4)?;
    let file = page.scratch()?.file("no_ring")?;
    for (asked, fd, flags, errno, why) in [
        ("enter with flag 1 << 31", ring, 1 << 31, Errno::EINVAL, "no kernel has it yet"),
        ("enter of a file", file.as_raw_fd(), 0, Errno::EOPNOTSUPP, "that is no ring"),
        ("enter of descriptor -1", -1, 0, Errno::EBADF, "nothing is open there"),
        (
            "enter of a disabled ring",
            asleep.as_raw_fd(),
            0,
            Errno::EBADFD,
            "it takes nothing until IORING_REGISTER_ENABLE_RINGS",
        ),
    ] {
        page.call_refused(asked, enter(fd, 0, 0, flags, NOTHING), errno, why)?;
    }
    Ok(())
}
