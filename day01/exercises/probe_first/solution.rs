//! probe_first: an operation that this kernel may not have.
//!
//! `probe_first CODE TEXT` prints TEXT and a newline. If the kernel has
//! operation CODE, which takes the same fields as IORING_OP_WRITE, it uses
//! that; if not, it uses IORING_OP_WRITEV.
//!
//! Run it: `cargo run --bin probe_first -- 23 hello`

use std::env;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, Probe, opcode, squeue, types};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let code: u8 =
        args.next().context("usage: probe_first CODE TEXT")?.parse()?;
    let line = args.next().context("usage: probe_first CODE TEXT")? + "\n";
    let mut ring = IoUring::new(8)?;

    let part = libc::iovec {
        iov_base: line.as_ptr().cast_mut().cast(),
        iov_len: line.len(),
    };
    let entry = if has(&ring, code) {
        entry_of(code, &line)
    } else {
        opcode::Writev::new(types::Fd(1), &part, 1).build()
        //                                ^^^^^ WRITEV is as old as io_uring
        //                                      (5.1). WRITE is not: it came
        //                                      together with the probe (5.6)
    };
    let written = submit(&mut ring, &entry)?;
    ensure!(written == line.len() as i32, "the write answered {written}");
    Ok(())
}

/// Whether the ring's kernel has operation `code`.
fn has(ring: &IoUring, code: u8) -> bool {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).is_ok()
    //                                          ^^^^^^^
    // a kernel without the probe has none of the operations that came later
        && probe.is_supported(code)
    //     ^^^^^^^^^^^^^^^^^^ the version number is no proof: distributions add
    //                        features to old kernels, or leave some out
}

/// An entry of operation `code` with the fields of a write to the standard
/// output. The crate has a type for each operation it knows; this is for those
/// it does not know.
fn entry_of(code: u8, line: &str) -> squeue::Entry {
    let (address, len) = (line.as_ptr(), line.len() as u32);
    let mut entry = opcode::Write::new(types::Fd(1), address, len).build();
    // SAFETY: an entry is a `struct io_uring_sqe`, and its first byte is the
    // operation's code.
    unsafe { (&raw mut entry).cast::<u8>().write(code) };
    entry
}

/// Submits an entry, waits, and returns its result.
fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> Result<i32> {
    // SAFETY: what the entry points at lives in `main`, and we return after its
    // completion.
    unsafe { ring.submission().push(entry) }?;
    ring.submit_and_wait(1)?;
    let completion =
        ring.completion().next().context("a wait without a completion")?;
    Ok(completion.result())
}
