// expect: E-OUTPUT
// why: The ring writes a line, but not the one that was asked for.

use io_uring::{IoUring, opcode, types};

fn main() -> anyhow::Result<()> {
    let line = "hello, world\n";
    let mut ring = IoUring::new(8)?;
    let entry = opcode::Write::new(types::Fd(1), line.as_ptr(), line.len() as u32).build();
    // SAFETY: `line` lives as long as the program.
    unsafe { ring.submission().push(&entry) }?;
    ring.submit_and_wait(1)?;
    let written = ring.completion().next().map_or(-1, |completion| completion.result());
    anyhow::ensure!(written == line.len() as i32, "not written: {written}");
    Ok(())
}
