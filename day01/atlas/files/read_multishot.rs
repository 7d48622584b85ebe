//! READ_MULTISHOT: read into provided buffers as long as data comes.
//!
//! Since 6.7. Stands for a read(2) each time poll(2) says that there is something; liburing:
//! `io_uring_prep_read_multishot`; crate: `opcode::ReadMulti`, from 0.7.16 on with slots too.
//! Takes a descriptor or a slot that can be polled (a pipe, an eventfd, a terminal), and a group of
//! provided buffers. Each completion is one read: how many bytes, and in which buffer. It goes on
//! as long as `IORING_CQE_F_MORE` is set.
//! It ends with the data (0), with an error, and when the group has no buffer left (ENOBUFS): then
//! the program gives buffers back and arms it again.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use anyhow::Context;
use atlas::{Entry, Page, Result, pipe};
use common::buffers::Buffers;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_READ_MULTISHOT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut buffers = Buffers::register(&ring.submitter(), 7, 2, 64)?;
    let (reader, mut writer) = pipe()?;
    let read = opcode::ReadMulti::new(Fd(reader.as_raw_fd()), 0, 7);
    // SAFETY: here and below, the memory of `Buffers` is never freed.
    let reads = unsafe { page.start("READ_MULTISHOT of a pipe", &mut ring, read.build()) };
    for text in ["one", "two"] {
        writer.write_all(text.as_bytes())?;
        let answer = page.answer(&reads, &mut ring)?;
        let id = answer.buffer().context("a buffer's number")?;
        buffers.take(id);
        let bytes = buffers.copy(id, answer.result as u32);
        page.saw(&format!("buffer {id} has {text:?}"), bytes == text.as_bytes())?;
    }
    writer.write_all(b"three")?;
    let why = "both buffers are taken: give them back, and arm it again";
    let last = page.ended(&reads, &mut ring, Errno::ENOBUFS, why)?;
    page.saw("it will not go on", !last.more())?;

    buffers.give_back(0);
    buffers.give_back(1);
    let again = opcode::ReadMulti::new(Fd(reader.as_raw_fd()), 0, 7).build();
    // SAFETY: as above.
    let reads = unsafe { page.start("READ_MULTISHOT again", &mut ring, again) };
    page.answer(&reads, &mut ring)?;
    drop(writer);
    let end = page.answer(&reads, &mut ring)?;
    page.saw("the pipe has ended, and the entry with it", end.result == 0 && !end.more())?;
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let file = File::open("/proc/self/exe")?;
    let (reader, _writer) = pipe()?;
    let read =
        |fd: &dyn AsRawFd, group| opcode::ReadMulti::new(Fd(fd.as_raw_fd()), 0, group).build();
    let why = "files are always ready, so there is nothing to wait for: use READ";
    let no_group = "no group has that number";
    let no_buffers = "it takes provided buffers";
    // SAFETY: the kernel refuses each before it writes anything.
    unsafe {
        page.refused("READ_MULTISHOT of a file", ring, read(&file, 7), Errno::EBADFD, why)?;
        page.refused(
            "READ_MULTISHOT into group 8",
            ring,
            read(&reader, 8),
            Errno::ENOBUFS,
            no_group,
        )?;
        let entry = read(&reader, 7).clear_flags();
        page.refused("READ_MULTISHOT without BUFFER_SELECT", ring, entry, Errno::EINVAL, no_buffers)
    }
}
