//! FEAT_SQPOLL_NONFIXED: SQPOLL works on descriptors that are not registered.
//!
//! Since 5.11. Before, the poller was a thread of the kernel, which had no descriptors: all files
//! had to be in slots. Now it is a thread of the program. When its queue is full,
//! `IORING_ENTER_SQ_WAIT` (5.10) waits until it has made room.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result, Where, raw};
use common::catalog::ENTER_FLAGS;
use io_uring::{IoUring, opcode, types};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_FEAT_SQPOLL_NONFIXED", "IORING_ENTER_SQ_WAIT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_sqpoll(50).build(4);
    if matches!(&built, Err(error) if error.raw_os_error() == Some(libc::EPERM)) {
        let why = "before Linux 5.13, SQPOLL takes CAP_SYS_NICE (before 5.11, CAP_SYS_ADMIN)";
        return page.cannot("IORING_FEAT_SQPOLL_NONFIXED", why, Where::Root);
    }
    let mut ring: IoUring = page.call("a ring with SQPOLL", built)?;
    if !ring.params().is_feature_sqpoll_nonfixed() {
        return page.lacks("IORING_FEAT_SQPOLL_NONFIXED");
    }
    page.note("the bit in params.features", "set");
    let file = std::fs::File::open("/proc/self/comm")?;
    let mut bytes = [0; 16];
    let read = opcode::Read::new(types::Fd(file.as_raw_fd()), bytes.as_mut_ptr(), 16).build();
    // SAFETY: `bytes` is looked at when the read has completed.
    let answer = unsafe { page.ask("READ of a descriptor", &mut ring, read) }?;
    page.saw("the poller read this program's file", answer.result > 0)?;

    let nop = opcode::Nop::new().build();
    // SAFETY: here and below, a NOP points at no memory.
    while unsafe { ring.submission().push(&nop) }.is_ok() {}
    page.note("NOPs until the queue is full", "pushed");
    let flags = ENTER_FLAGS.code("SQ_WAIT") | ENTER_FLAGS.code("SQ_WAKEUP");
    // SAFETY: the call takes no memory.
    let wait = |ring: &IoUring| unsafe { raw::enter(ring.as_raw_fd(), 0, 0, flags, 0, 0) };
    page.call("an enter with SQ_WAIT", wait(&ring))?;
    // A signal, or work for this thread, ends the wait early, and that is no error.
    while ring.submission().is_full() {
        wait(&ring)?;
    }
    page.note("the queue", "has room");
    Ok(())
}
// ANCHOR_END: show
