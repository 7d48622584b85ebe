// expect: E-RESULT
// why: The completion is taken and its result thrown away: ENOSPC goes unnoticed.

use io_uring::{IoUring, opcode, types};

fn main() -> anyhow::Result<()> {
    let line = format!("{}\n", std::env::args().nth(1).unwrap_or_default());
    let mut ring = IoUring::new(8)?;
    let entry = opcode::Write::new(types::Fd(1), line.as_ptr(), line.len() as u32).build();
    // SAFETY: `line` lives until the end of main, and the wait is over before that.
    unsafe { ring.submission().push(&entry) }?;
    ring.submit_and_wait(1)?;
    ring.completion().next().expect("a completion");
    Ok(())
}
