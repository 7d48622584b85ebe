//! deadline: what came in time.
//!
//! `deadline MS PART LENGTH`: a neighbour has sent PART. The program waits for
//! LENGTH bytes, at most MS milliseconds, and prints all that came. This
//! starter waits by a separate timer, and discards the bytes that came.
//!
//! Run it: `cargo run --bin deadline -- 200 half 8`

use std::env;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use common::memory::forever;
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
        .user_data(RECV);
    let time = Timespec::from(Duration::from_millis(ms));
    // TODO: this timer does not end the RECV. Which operation does, and how
    // does the kernel know which entry it limits?
    let limit = opcode::Timeout::new(&time).build().user_data(LIMIT);

    // SAFETY: `buffer` is never freed, and the program does not look at it
    // before the RECV's completion. The kernel reads `time` at the submit.
    unsafe { ring.submission().push_multiple(&[recv, limit]) }?;
    // TODO: how many completions come?
    ring.submit_and_wait(1)?;

    let mut came = 0;
    for completion in ring.completion() {
        // TODO: which of them has the number of bytes?
        came = completion.result();
    }
    Ok(came.max(0) as usize)
}
