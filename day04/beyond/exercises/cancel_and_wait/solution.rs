//! cancel_and_wait: end a receive, and use its buffer again.
//!
//! `cancel_and_wait FIRST SECOND` has one buffer, as long as SECOND. It first
//! receives from a slow neighbour, who has sent FIRST, and ends that after a
//! while. Then it receives from a second neighbour. It prints what came from
//! each.
//!
//! Run it: `cargo run --bin cancel_and_wait -- half whole-text`

use std::env;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::memory::forever;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

const FIRST: u64 = 1;
const SECOND: u64 = 2;
const CANCEL: u64 = 3;

fn main() -> Result<()> {
    let texts: Vec<String> = env::args().skip(1).collect();
    ensure!(texts.len() == 2, "usage: cancel_and_wait FIRST SECOND");
    let (slow, mut slow_peer) = UnixStream::pair()?;
    let (quick, mut quick_peer) = UnixStream::pair()?;
    slow_peer.write_all(texts[0].as_bytes())?;
    quick_peer.write_all(texts[1].as_bytes())?;
    let buffer = forever(vec![0; texts[1].len()]);
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)?;

    push_recv(&mut ring, &slow, buffer, FIRST)?;
    ring.submit()?;
    sleep(Duration::from_millis(20)); // enough patience
    let came = end(&mut ring)?;
    println!("{}", String::from_utf8_lossy(&buffer[..came]));

    push_recv(&mut ring, &quick, buffer, SECOND)?;
    ring.submit_and_wait(1)?;
    let second = ring.completion().find(|it| it.user_data() == SECOND);
    let second = second.context("the second RECV has not completed")?;
    ensure!(second.result() >= 0, "RECV failed: {}", second.result());
    let came = second.result() as usize;
    println!("{}", String::from_utf8_lossy(&buffer[..came]));
    Ok(())
}

/// A RECV that waits until the buffer is full.
fn push_recv(
    ring: &mut IoUring,
    socket: &UnixStream,
    buffer: &mut [u8],
    tag: u64,
) -> Result<()> {
    let fd = Fd(socket.as_raw_fd());
    let length = buffer.len() as u32;
    let recv = opcode::Recv::new(fd, buffer.as_mut_ptr(), length)
        .flags(libc::MSG_WAITALL)
        .build()
        .user_data(tag);
    // SAFETY: the buffer is never freed, and has no other user until the
    // completion of this RECV.
    unsafe { ring.submission().push(&recv) }?;
    Ok(())
}

/// Ends the first RECV, and returns when its buffer is ours. How much came.
fn end(ring: &mut IoUring) -> Result<usize> {
    let cancel = opcode::AsyncCancel::new(FIRST).build().user_data(CANCEL);
    // SAFETY: a cancel names no memory.
    unsafe { ring.submission().push(&cancel) }?;
    ring.submit_and_wait(2)?;
    // ^^^^^^^^^^^^^^^^^^^^ both completions, in either order

    let mut first = None;
    for completion in ring.completion() {
        if completion.user_data() == FIRST {
            first = Some(completion.result());
            //      ^^^^^^^^^^^^^^^^^^^^^^^^^ all, a part, or ECANCELED
        }
    }
    let came = first.context("the first RECV has not completed")?;
    ensure!(came >= 0 || came == -libc::ECANCELED, "RECV failed: {came}");
    Ok(came.max(0) as usize)
}
