use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let mut line = std::env::args()
        .nth(1)
        .context("usage: hello_write TEXT")?
        .into_bytes();
    line.push(b'\n');
    let mut ring = IoUring::new(2)?;
    let buffer =
        libc::iovec { iov_base: line.as_mut_ptr().cast(), iov_len: line.len() };
    // SAFETY: `line` outlives the ring's use of it: the buffer is unregistered below.
    unsafe { ring.submitter().register_buffers(&[buffer]) }?;
    ring.submitter().register_files(&[1])?;
    let write = opcode::WriteFixed::new(
        types::Fixed(0),
        line.as_ptr(),
        line.len() as u32,
        0,
    )
    .build();
    // SAFETY: as above.
    unsafe { ring.submission().push(&write) }?;
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("no completion")?.result();
    ring.submitter().unregister_buffers()?;
    ensure!(result == line.len() as i32, "written: {result}");
    Ok(())
}
