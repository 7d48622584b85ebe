//! IOSQE_IO_DRAIN: start when everything before it has completed.
//!
//! Since 5.2. liburing: `io_uring_sqe_set_flags`; crate: `squeue::Flags::IO_DRAIN`.
//! A barrier across the whole ring: what was submitted before has completed when this entry starts,
//! and what is submitted after it starts when this entry has completed. Unlike a link, it does not
//! depend on results. An operation that waits for a peer holds up the whole ring behind a drain,
//! and so does a multishot until it ends. Once an entry with `IOSQE_CQE_SKIP_SUCCESS` was
//! submitted, the ring takes no drain any more.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Ask, Entry, Page, Result};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IOSQE_IO_DRAIN"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let file = page.scratch()?.file("log")?;
    let write = |asked, text: &'static [u8], at| {
        let fd = Fd(file.as_raw_fd());
        let entry = opcode::Write::new(fd, text.as_ptr(), text.len() as u32).offset(at);
        Ask::new(asked, entry.build())
    };
    let fsync = opcode::Fsync::new(Fd(file.as_raw_fd())).build().flags(Flags::IO_DRAIN);
    let all = [
        write("WRITE at 6", b"world", 6),
        write("WRITE at 0", b"hello ", 0),
        Ask::new("FSYNC with IO_DRAIN", fsync.user_data(LAST)),
    ];
    // SAFETY: the bytes are constants.
    let answers = unsafe { page.ask_all(&mut ring, all) }?;
    page.saw("both WRITEs came before the FSYNC", answers[2].user_data == LAST)?;

    let (socket, mut peer) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(Fd(socket.as_raw_fd()), libc::POLLIN as u32).build();
    let nop = || opcode::Nop::new().build();
    let entries = [
        ("POLL_ADD of a quiet socket", poll),
        ("NOP with IO_DRAIN", nop().flags(Flags::IO_DRAIN)),
        ("NOP after it", nop()),
    ];
    // SAFETY: neither a poll nor a NOP points at memory.
    let started = unsafe { page.start_all(&mut ring, entries) };
    page.waits(&started[1], &mut ring)?;
    page.waits(&started[2], &mut ring)?;
    peer.write_all(b"now")?;
    for started in &started {
        page.answer(started, &mut ring)?;
    }
    after_a_skip(page, &mut ring)
}
// ANCHOR_END: show

/// A `user_data` to tell the FSYNC by.
const LAST: u64 = 1_000;

fn after_a_skip(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    if !ring.params().is_feature_skip_cqe_on_success() {
        return Ok(());
    }
    let nop = || opcode::Nop::new().build();
    let silent = Ask::new("NOP with CQE_SKIP_SUCCESS", nop().flags(Flags::SKIP_SUCCESS));
    let why = "the ring had an entry with CQE_SKIP_SUCCESS, which a drain cannot count";
    // SAFETY: a NOP points at no memory.
    unsafe {
        page.ask_all(ring, [silent])?;
        let drain = nop().flags(Flags::IO_DRAIN);
        page.refused("NOP with IO_DRAIN", ring, drain, Errno::EOPNOTSUPP, why)
    }
}
