//! TEE: copy data from pipe to pipe without taking it.
//!
//! Since 5.8. Stands for tee(2); liburing: `io_uring_prep_tee`; crate: `opcode::Tee`.
//! Takes two pipes, as descriptors or slots, a length and `SPLICE_F_*` flags; no offsets. Returns
//! how many bytes the second pipe got, 0 if the first has no writer left. The first keeps them: a
//! second TEE copies the same bytes again, so take them with a SPLICE or READ.
//! It always runs in a worker thread.

use std::os::fd::AsRawFd;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result, pipe};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::unistd;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_TEE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (reader, writer) = pipe()?;
    let (copy_reader, copy_writer) = pipe()?;
    let (from, into) = (Fd(reader.as_raw_fd()), Fd(copy_writer.as_raw_fd()));
    unistd::write(&writer, b"abcdef")?;
    // SAFETY: here and below, a TEE points at no memory.
    unsafe { page.ask("TEE of 4 bytes", &mut ring, opcode::Tee::new(from, into, 4).build()) }?;
    ring.submitter().register_files(&[reader.as_raw_fd()])?;
    let entry = opcode::Tee::new(Fixed(0), into, 100).build();
    // SAFETY: as above.
    unsafe { page.ask("FD_IN_FIXED: TEE of all, from slot 0", &mut ring, entry) }?;
    let mut bytes = [0; 16];
    let len = unistd::read(&copy_reader, &mut bytes)?;
    page.saw("the second pipe got them twice", &bytes[..len] == b"abcdabcdef")?;
    let len = unistd::read(&reader, &mut bytes)?;
    page.saw("the first one still has them", &bytes[..len] == b"abcdef")?;

    let file = page.scratch()?.file("file")?;
    let of_file = opcode::Tee::new(Fd(file.as_raw_fd()), into, 4).build();
    let to_itself = opcode::Tee::new(from, Fd(writer.as_raw_fd()), 4).build();
    let no_wait = opcode::Tee::new(from, into, 4).flags(libc::SPLICE_F_NONBLOCK).build();
    let with_offset = opcode::Tee::new(from, into, 4).build().off(-1_i64 as u64);
    let wrong_end = opcode::Tee::new(Fd(writer.as_raw_fd()), into, 4).build();
    for (asked, entry, errno, why) in [
        (
            "NONBLOCK: of an empty pipe",
            no_wait,
            Errno::EAGAIN,
            "without the flag a worker would wait",
        ),
        ("TEE of a file", of_file, Errno::EINVAL, "both must be pipes"),
        ("TEE of a pipe to itself", to_itself, Errno::EINVAL, "it takes two pipes"),
        ("TEE from the end to write to", wrong_end, Errno::EBADF, "it is not open for reading"),
        ("TEE with offset -1, as SPLICE has", with_offset, Errno::EINVAL, "offsets must be 0 here"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    drop(writer);
    // SAFETY: as above.
    let answer = unsafe {
        page.ask(
            "TEE when the pipe has no writer left",
            &mut ring,
            opcode::Tee::new(from, into, 4).build(),
        )
    }?;
    page.saw("that is the end of the data", answer.result == 0)
}
// ANCHOR_END: show
