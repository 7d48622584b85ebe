//! deadline: what came in time.
//!
//! `deadline MS PART LENGTH`: a neighbour has sent PART. The program waits for
//! LENGTH bytes, at most MS milliseconds, and prints all that came.
//!
//! Run it: `cargo run --bin deadline -- 200 half 8`

use std::env;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::memory::forever;
use io_uring::squeue::Flags;
use io_uring::types::{Fd, Timespec};
use io_uring::{IoUring, opcode};

const RECV: u64 = 1;
const LIMIT: u64 = 2;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    ensure!(args.len() == 3, "usage: deadline MS PART LENGTH");
    let (socket, mut neighbour) = UnixStream::pair()?;
    neighbour.write_all(args[1].as_bytes())?;
    let buffer = forever(vec![0; args[2].parse()?]);
    let mut ring = IoUring::new(8)?;
    let came = receive(&mut ring, &socket, buffer, args[0].parse()?)?;
    println!("{}", String::from_utf8_lossy(&buffer[..came]));
    Ok(())
}

/// Receives until the buffer is full or its time is over. Returns the number of
/// bytes.
fn receive(
    ring: &mut IoUring,
    socket: &UnixStream,
    buffer: &mut [u8],
    ms: u64,
) -> Result<usize> {
    let fd = Fd(socket.as_raw_fd());
    let length = buffer.len() as u32;
    let recv = opcode::Recv::new(fd, buffer.as_mut_ptr(), length)
        .flags(libc::MSG_WAITALL)
        .build()
        .flags(Flags::IO_LINK)
        // ^^^^^^^^^^^^^^^^^^ makes the entry behind it its limit
        .user_data(RECV);
    let time = Timespec::from(Duration::from_millis(ms));
    let limit = opcode::LinkTimeout::new(&time).build().user_data(LIMIT);

    // SAFETY: `buffer` is never freed, and the program does not look at it
    // before the RECV's completion. The kernel reads `time` at the submit.
    unsafe { ring.submission().push_multiple(&[recv, limit]) }?;
    ring.submit_and_wait(2)?;
    // ^^^^^^^^^^^^^^^^^^ both: the limit's ETIME may come first, and the
    //                  buffer is the kernel's until the RECV's own

    let mut came = None;
    for completion in ring.completion() {
        if completion.user_data() == RECV {
            came = Some(completion.result());
            // ^^^^^^^^ the number of bytes is always here, not in the limit's
            //          completion
        }
    }
    let came = came.context("the RECV has not completed")?;
    ensure!(came >= 0 || came == -libc::ECANCELED, "RECV failed: {came}");
    Ok(came.max(0) as usize)
}
