//! probe_first: an operation that this kernel may not have.
//!
//! `probe_first CODE TEXT` prints TEXT and a newline. Operation CODE writes,
//! with the same fields as IORING_OP_WRITE, but not every kernel has it. This
//! starter uses it without a check. On a kernel without it, the program gets
//! EINVAL and prints nothing. Ask the kernel first (the probe); without the
//! operation, fall back to IORING_OP_WRITEV, which every kernel with io_uring
//! has.
//!
//! Run it: `cargo run --bin probe_first -- 23 hello`

use std::env;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, squeue, types};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let code: u8 =
        args.next().context("usage: probe_first CODE TEXT")?.parse()?;
    let line = args.next().context("usage: probe_first CODE TEXT")? + "\n";
    let mut ring = IoUring::new(8)?;

    // TODO: only if the kernel has it; if not, an `opcode::Writev` of an iovec.
    let entry = entry_of(code, &line);
    let written = submit(&mut ring, &entry)?;
    ensure!(written == line.len() as i32, "the write answered {written}");
    Ok(())
}

// TODO: a function that asks whether the ring's kernel has operation `code`,
// with `io_uring::Probe` and `register_probe`. A kernel that refuses the probe
// is older than 5.6, and has none of the later operations: take that for a
// "no", and go on.

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
