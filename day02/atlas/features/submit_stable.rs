//! FEAT_SUBMIT_STABLE: paths and iovecs are read at the submit, data is not.
//!
//! Since 5.5. What describes an operation (a path, an array of iovecs, a timespec, an address of a
//! peer) may be overwritten when the submit has returned. The data itself may not: it is read or
//! written until the completion. With SQPOLL the poller submits, and the program does not know
//! when.

use std::io::Write;
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use common::memory::forever;
use io_uring::{opcode, types};
use nix::errno::Errno;

use super::{ring_with, sockets};

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_SUBMIT_STABLE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_SUBMIT_STABLE";
    let has = |params: &io_uring::Parameters| params.is_feature_submit_stable();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let (ours, mut theirs) = sockets()?;
    let data = forever([0_u8; 5]);
    let mut iovec = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    let socket = types::Fd(ours.as_raw_fd());
    let read = opcode::Readv::new(socket, (&raw const iovec).cast(), 1).build();
    // SAFETY: `data` is never freed, and looked at when the read has completed.
    let read = unsafe { page.start("READV of an empty socket", &mut ring, read) };
    iovec.iov_base = std::ptr::null_mut();
    iovec.iov_len = 0;
    page.note("the iovec, after the submit", format!("overwritten: {} bytes", iovec.iov_len));
    page.call("5 bytes arrive", theirs.write_all(b"bytes"))?;
    let answer = page.answer(&read, &mut ring)?;
    page.saw("they went where the iovec had said", answer.result == 5 && *data == *b"bytes")?;

    iovec = libc::iovec { iov_base: std::ptr::without_provenance_mut(16), iov_len: 5 };
    let read = opcode::Readv::new(socket, (&raw const iovec).cast(), 1).build();
    theirs.write_all(b"bytes")?;
    let why = "the data has no such address: that is found out when bytes are there";
    // SAFETY: the kernel cannot write there, and says so.
    unsafe { page.refused("READV to address 16", &mut ring, read, Errno::EFAULT, why) }
}
// ANCHOR_END: show
