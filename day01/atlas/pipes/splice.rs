//! SPLICE: move data from or to a pipe inside the kernel.
//!
//! Since 5.7. Stands for splice(2); liburing: `io_uring_prep_splice`; crate: `opcode::Splice`.
//! Takes two descriptors or slots, an offset for each, a length and `SPLICE_F_*` flags. One of the
//! two must be a pipe: two of them, linked, make a sendfile(2). A pipe's offset must be -1; -1 for
//! a file means its cursor, which moves. Returns how many bytes moved: at most what the pipe has
//! room for, 0 at the end of the input.
//! A slot as input needs `SPLICE_F_FD_IN_FIXED`, which the builder sets for `types::Fixed`.
//! It always runs in a worker thread, which waits until the pipe is read or written.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Ask, Entry, Page, Result, pipe};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_SPLICE",
        "SPLICE_F_MOVE",
        "SPLICE_F_NONBLOCK",
        "SPLICE_F_MORE",
        "SPLICE_F_GIFT",
        "SPLICE_F_FD_IN_FIXED",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let scratch = page.scratch()?;
    let mut input = scratch.file("input")?;
    input.write_all(b"hello, pipe")?;
    input.rewind()?;
    let output = scratch.file("output")?;
    let (reader, writer) = pipe()?;
    let (file, into, from) = (fd(&input), fd(&writer), fd(&reader));
    let first = opcode::Splice::new(file, 7, into, -1, 4).build().flags(squeue::Flags::IO_LINK);
    let second = opcode::Splice::new(from, -1, fd(&output), 2, 4).build();
    let sendfile = [
        Ask::new("SPLICE of 4 bytes at 7 into a pipe, linked", first),
        Ask::new("SPLICE of the pipe into a file at 2", second),
    ];
    // SAFETY: here and below, a SPLICE points at no memory.
    unsafe { page.ask_all(&mut ring, sendfile) }?;
    page.saw("the other file has them there", fs::read(scratch.path("output"))? == b"\0\0pipe")?;

    ring.submitter().register_files(&[input.as_raw_fd()])?;
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_MORE | libc::SPLICE_F_GIFT;
    let by_slot = opcode::Splice::new(Fixed(0), -1, into, -1, 5).flags(flags).build();
    // SAFETY: as above.
    unsafe { page.ask("FD_IN_FIXED: SPLICE of 5 bytes at slot 0's cursor", &mut ring, by_slot) }?;
    page.saw("the cursor has moved", input.stream_position()? == 5)?;
    let (near, mut far) = UnixStream::pair()?;
    let send = opcode::Splice::new(from, -1, fd(&near), -1, 5).build();
    // SAFETY: as above.
    unsafe { page.ask("SPLICE of the pipe into a socket", &mut ring, send) }?;
    let mut text = [0; 5];
    far.read_exact(&mut text)?;
    page.saw("the peer gets them", &text == b"hello")?;
    let behind = opcode::Splice::new(file, 99, into, -1, 5).build();
    // SAFETY: as above.
    unsafe { page.ask("SPLICE behind the file's end", &mut ring, behind) }?;
    how_much(page, &mut ring)?;
    mistakes(page, &mut ring, &input, &output)
}
// ANCHOR_END: show

/// A pipe takes what it has room for, and then nothing until it is read.
fn how_much(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let mut large = page.scratch()?.file("large")?;
    large.write_all(&vec![1; 1 << 20])?;
    let (reader, writer) = pipe()?;
    let splice = || opcode::Splice::new(fd(&large), 0, fd(&writer), -1, 1 << 20);
    // SAFETY: here and below, a SPLICE points at no memory.
    let answer = unsafe { page.ask("SPLICE of 1 MiB into a pipe", ring, splice().build()) }?;
    // SAFETY: the call takes no memory.
    let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETPIPE_SZ) };
    page.saw("that is what the pipe holds (F_GETPIPE_SZ)", answer.result == size)?;
    let entry = splice().flags(libc::SPLICE_F_NONBLOCK).build();
    let why = "the pipe is full; without the flag a worker thread would wait";
    // SAFETY: as above.
    unsafe { page.refused("NONBLOCK: SPLICE of some more", ring, entry, Errno::EAGAIN, why) }?;
    drop(reader);
    let why = "that pipe has no reader any more";
    // SAFETY: as above.
    unsafe { page.refused("SPLICE of some more", ring, splice().build(), Errno::EPIPE, why) }
}

fn mistakes(page: &mut Page, ring: &mut IoUring, input: &File, output: &File) -> Result<()> {
    let (reader, writer) = pipe()?;
    let (file, into, from) = (fd(input), fd(&writer), fd(&reader));
    let (socket, _peer) = UnixStream::pair()?;
    let append = File::options().append(true).open(page.scratch()?.path("output"))?;
    let short = opcode::Splice::new(file, 0, into, -1, 99).build().flags(squeue::Flags::IO_LINK);
    let next = opcode::Splice::new(from, -1, fd(output), 0, 99).build();
    let chain = [
        Ask::new("SPLICE of 99 bytes from a file of 11, linked", short),
        Ask::new("SPLICE of the pipe into a file", next)
            .refused(Errno::ECANCELED, "what is shorter than its length breaks a link"),
    ];
    // SAFETY: here and below, a SPLICE points at no memory.
    unsafe { page.ask_all(ring, chain) }?;
    for (asked, entry, errno, why) in [
        (
            "SPLICE into a pipe at 0",
            opcode::Splice::new(file, 0, into, 0, 4),
            Errno::ESPIPE,
            "a pipe has no offsets: say -1",
        ),
        (
            "SPLICE of file to file",
            opcode::Splice::new(file, 0, fd(output), 0, 4),
            Errno::EINVAL,
            "one of the two must be a pipe",
        ),
        (
            "SPLICE of file to socket",
            opcode::Splice::new(file, 0, fd(&socket), -1, 4),
            Errno::EINVAL,
            "one of the two must be a pipe",
        ),
        (
            "SPLICE of a pipe to itself",
            opcode::Splice::new(from, -1, into, -1, 4),
            Errno::EINVAL,
            "it takes two pipes",
        ),
        (
            "SPLICE to O_APPEND",
            opcode::Splice::new(from, -1, fd(&append), -1, 4),
            Errno::EINVAL,
            "open it without O_APPEND, and give its length as the offset",
        ),
        (
            "SPLICE with flag 16",
            opcode::Splice::new(file, 0, into, -1, 4).flags(16),
            Errno::EINVAL,
            "no such flag",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry.build(), errno, why) }?;
    }
    Ok(())
}

fn fd(file: &impl AsRawFd) -> Fd {
    Fd(file.as_raw_fd())
}
