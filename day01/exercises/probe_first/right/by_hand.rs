// Another way: the system call itself, and a fallback from a registered buffer.

use std::env;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, squeue, types};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let code: u8 = args.next().context("usage: probe_first CODE TEXT")?.parse()?;
    let line = args.next().context("usage: probe_first CODE TEXT")? + "\n";
    let mut ring = IoUring::new(8)?;

    let part = libc::iovec { iov_base: line.as_ptr().cast_mut().cast(), iov_len: line.len() };
    let entry = if has(&ring, code) {
        entry_of(code, &line)
    } else {
        // SAFETY: `line` lives as long as the program.
        unsafe { ring.submitter().register_buffers(&[part]) }?;
        let (address, len) = (line.as_ptr(), line.len() as u32);
        opcode::WriteFixed::new(types::Fd(1), address, len, 0).build()
    };
    let written = submit(&mut ring, &entry)?;
    ensure!(written == line.len() as i32, "the write answered {written}");
    Ok(())
}

/// Whether the ring's kernel has operation `code`.
fn has(ring: &IoUring, code: u8) -> bool {
    let mut probe = [0_u8; 16 + 8 * 256];
    // SAFETY: the kernel writes no more than 256 operations of 8 bytes, after 16 of its own.
    let asked = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), 8, probe.as_mut_ptr(), 256)
    };
    let entry = 16 + 8 * usize::from(code);
    asked == 0 && probe[entry + 2] & 1 != 0
}

/// An entry of operation `code` with the fields of a write to the standard output. The crate
/// has a type for each operation it knows; this is for those it does not know.
fn entry_of(code: u8, line: &str) -> squeue::Entry {
    let (address, len) = (line.as_ptr(), line.len() as u32);
    let mut entry = opcode::Write::new(types::Fd(1), address, len).build();
    // SAFETY: an entry is a `struct io_uring_sqe`, and its first byte is the operation's code.
    unsafe { (&raw mut entry).cast::<u8>().write(code) };
    entry
}

/// Submits an entry, waits, and returns its result.
fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> Result<i32> {
    // SAFETY: what the entry points at lives in `main`, and we return after its completion.
    unsafe { ring.submission().push(entry) }?;
    ring.submit_and_wait(1)?;
    let completion = ring.completion().next().context("a wait without a completion")?;
    Ok(completion.result())
}
