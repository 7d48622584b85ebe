//! durable_write: report a text as durable when it is on the disk.
//!
//! `durable_write PATH TEXT` writes a text to a file, and prints `durable` when
//! it is on the disk.
//!
//! Run it: `cargo run --bin durable_write -- /tmp/text hello`

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use io_uring::{IoUring, opcode, types};

const WRITE: u64 = 1;
const FSYNC: u64 = 2;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    ensure!(args.len() == 2, "usage: durable_write PATH TEXT");
    let file = File::create(&args[0])?;
    write_durably(&mut IoUring::new(8)?, &file, args[1].as_bytes())?;
    println!("durable");
    Ok(())
}

/// Returns when the bytes are on the disk.
fn write_durably(ring: &mut IoUring, file: &File, bytes: &[u8]) -> Result<()> {
    let fd = types::Fd(file.as_raw_fd());
    let write = opcode::Write::new(fd, bytes.as_ptr(), bytes.len() as u32)
        .build()
        .user_data(WRITE);
    // TODO: nothing makes the FSYNC wait for the WRITE.
    let fsync = opcode::Fsync::new(fd).build().user_data(FSYNC);

    // SAFETY: the kernel reads the bytes until the completion of the WRITE. The
    // caller owns them, and we return after that.
    unsafe { ring.submission().push_multiple(&[write, fsync]) }?;
    ring.submit_and_wait(2)?;

    // TODO: how many bytes were written? Were they flushed? Are any left?
    for _completion in ring.completion() {}
    Ok(())
}
