//! one_call_missing: reads a FIFO, and gives the kernel some NOPs.
//!
//! `one_call_missing FIFO TAG…` prints a line for each completion.
//!
//! Run it:
//! `cargo run --bin one_call_missing -- /tmp/a $(seq 17)`

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode, squeue, types::Fd};

/// The `user_data` of the READ.
const READ: u64 = 0;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let path = args.next().context("usage: one_call_missing FIFO TAG…")?;
    let fifo = File::open(&path).context(path)?;
    let tags: Vec<u64> = args.map(|it| it.parse()).collect::<Result<_, _>>()?;
    // Four entries and eight completions. The kernel finishes operations that
    // had to wait only when the program asks for completions.
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(4)?;

    let input = Box::leak(Box::new([0; 4096]));
    let fd = Fd(fifo.as_raw_fd());
    let read = opcode::Read::new(fd, input.as_mut_ptr(), 4096)
        .offset(u64::MAX)
        .build()
        .user_data(READ);
    push(&mut ring, &read)?;
    for tag in &tags {
        push(&mut ring, &opcode::Nop::new().build().user_data(*tag))?;
    }
    print_all(&mut ring, tags.len() + 1)?;
    Ok(())
}

/// Prints a line for each completion, until all have come.
fn print_all(ring: &mut IoUring, mut left: usize) -> io::Result<()> {
    while left > 0 {
        for completion in ring.completion() {
            let result = completion.result();
            if result < 0 {
                return Err(io::Error::from_raw_os_error(-result));
            }
            match completion.user_data() {
                READ => println!("read {result}"),
                tag => println!("nop {tag}"),
            }
            left -= 1;
        }
        // TODO: this waits, but the kernel does not know about it.
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Pushes an entry; submits those before it if the queue is full.
fn push(ring: &mut IoUring, entry: &squeue::Entry) -> Result<()> {
    if ring.submission().is_full() {
        ring.submit()?;
    }
    // SAFETY: a READ writes to memory that is never freed, and a NOP uses none.
    unsafe { ring.submission().push(entry) }?;
    Ok(())
}
