//! hello_write: a line on the standard output, written by the ring.
//!
//! `hello_write TEXT` prints TEXT and a newline. This starter prints it by
//! `print!`, which makes a `write` system call; its ring only runs a NOP. Write
//! the line through the ring, and look at the result in the completion: if the
//! kernel could not write, the program must end with an error.
//!
//! Run it: `cargo run --bin hello_write -- "good morning"`

use std::env;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let text = env::args().nth(1).context("usage: hello_write TEXT")?;
    let mut ring = IoUring::new(8)?;
    write_line(&mut ring, &format!("{text}\n"))
}

/// Writes `line` to the standard output, descriptor 1.
fn write_line(ring: &mut IoUring, line: &str) -> Result<()> {
    // TODO: no `print!`; make the entry an `opcode::Write` of the bytes of
    // `line`.
    print!("{line}");
    let entry = opcode::Nop::new().build();

    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&entry) }?;
    ring.submit_and_wait(1)?;

    // TODO: `submit_and_wait` succeeded. Did the operation?
    let completion =
        ring.completion().next().context("a wait without a completion")?;
    let _ = completion.result();
    Ok(())
}
