// expect: E-WRONG-ENTRY
// why: Writes to descriptor 2.

use std::env;
use std::io;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let text = env::args().nth(1).context("usage: hello_write TEXT")?;
    let mut ring = IoUring::new(8)?;
    write_line(&mut ring, &format!("{text}\n"))
}

/// Writes `line` to the standard output, descriptor 1.
fn write_line(ring: &mut IoUring, line: &str) -> Result<()> {
    let entry = opcode::Write::new(types::Fd(2), line.as_ptr(), line.len() as u32).build();

    // SAFETY: the kernel reads `line` until the operation completes. The caller owns it, and
    // we return after the completion.
    unsafe { ring.submission().push(&entry) }?;
    ring.submit_and_wait(1)?;

    let completion = ring.completion().next().context("a wait without a completion")?;
    let written = completion.result();
    ensure!(written >= 0, "the write failed: {}", io::Error::from_raw_os_error(-written));
    ensure!(written as usize == line.len(), "only {written} bytes of {} written", line.len());
    Ok(())
}
