//! hello_write: a line on the standard output, written by the ring.
//!
//! `hello_write TEXT` prints TEXT and a newline, by one IORING_OP_WRITE.
//!
//! Run it: `cargo run --bin hello_write -- "good morning"`

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
    let entry =
        opcode::Write::new(types::Fd(1), line.as_ptr(), line.len() as u32)
            // ^^^^^^^^^^^ a descriptor, an address, a length: the arguments of
            //             write(2), put into memory instead of registers
            .build();

    // SAFETY: the kernel reads `line` until the operation completes. The caller
    // owns it, and we return after the completion.
    unsafe { ring.submission().push(&entry) }?;
    ring.submit_and_wait(1)?;
    // ^^^^^^^^^^^^^^^^^^^^ submitting the write *is* the write: nothing else
    //                      has to be called

    let completion =
        ring.completion().next().context("a wait without a completion")?;
    let written = completion.result();
    ensure!(
        written >= 0,
        // ^^^^^^^^^ the call succeeded, but the operation may have failed: then
        //           its completion has a negative result
        "the write failed: {}",
        io::Error::from_raw_os_error(-written)
    );
    ensure!(
        written as usize == line.len(),
        // ^^^^^^^^^^^^^^^^^^^^^^^^^^^ as with write(2), a short write is not an
        //                             error
        "only {written} bytes of {} written",
        line.len()
    );
    Ok(())
}
