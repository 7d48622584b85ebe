// expect: E-OUTPUT
// why: `print!` was left in beside the ring's write, so the line is there twice.

use io_uring::{IoUring, opcode, types};

fn main() -> anyhow::Result<()> {
    let line = format!("{}\n", std::env::args().nth(1).unwrap_or_default());
    print!("{line}");
    let mut ring = IoUring::new(8)?;
    let entry = opcode::Write::new(types::Fd(1), line.as_ptr(), line.len() as u32).build();
    // SAFETY: `line` lives until the end of main, and the wait is over before that.
    unsafe { ring.submission().push(&entry) }?;
    ring.submit_and_wait(1)?;
    let written = ring.completion().next().map_or(-1, |completion| completion.result());
    anyhow::ensure!(written == line.len() as i32, "not written: {written}");
    Ok(())
}
