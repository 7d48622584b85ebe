//! durable_write: report a text as durable when it is on the disk.
//!
//! `durable_write PATH TEXT` writes a text to a file, and prints `durable` when
//! it is on the disk.
//!
//! Run it: `cargo run --bin durable_write -- /tmp/text hello`

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use io_uring::squeue::Flags;
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
    let (mut written, mut durable) = (0, false);
    while !durable {
        let rest = &bytes[written..];
        //                ^^^^^^^ what is left, at its place
        let write = opcode::Write::new(fd, rest.as_ptr(), rest.len() as u32)
            .offset(written as u64)
            .build()
            .flags(Flags::IO_LINK)
            // ^^^^^^^^^^^^^^^^^^^ the FSYNC begins when all of this is written
            .user_data(WRITE);
        let fsync = opcode::Fsync::new(fd).build().user_data(FSYNC);

        // SAFETY: the kernel reads the bytes until the completion of the WRITE.
        // The caller owns them, and we go on after that.
        unsafe { ring.submission().push_multiple(&[write, fsync]) }?;
        ring.submit_and_wait(2)?;

        for completion in ring.completion() {
            let result = completion.result();
            match completion.user_data() {
                // A short write has broken the link: the loop goes on.
                FSYNC if result == -libc::ECANCELED => {}
                //       ^^^^^^^^^^^^^^^^^^^^^^^^^^ nothing was flushed
                _ if result < 0 => {
                    return Err(io::Error::from_raw_os_error(-result).into());
                }
                FSYNC => durable = true,
                _ => {
                    ensure!(result > 0, "the WRITE wrote nothing");
                    written += result as usize;
                }
            }
        }
    }
    Ok(())
}
