// expect: E-NOT-SUBMITTED
// why: The entry is pushed, and nobody tells the kernel.

use io_uring::{IoUring, opcode, types};

fn main() -> anyhow::Result<()> {
    let line = format!("{}\n", std::env::args().nth(1).unwrap_or_default());
    let mut ring = IoUring::new(8)?;
    let entry = opcode::Write::new(types::Fd(1), line.as_ptr(), line.len() as u32).build();
    // SAFETY: nothing is submitted, so nothing is read.
    unsafe { ring.submission().push(&entry) }?;
    Ok(())
}
