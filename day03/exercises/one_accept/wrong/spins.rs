// expect: E-SPIN
// why: it looks at the completion queue all the time, and never waits.

use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::Result;
use common::listener::Listener;
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let mut ring = IoUring::new(8)?;
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    println!("listening on {}", listener.address());

    let accept = opcode::AcceptMulti::new(types::Fd(listener.fd())).build();
    // SAFETY: the entry points at no memory; the listener outlives the ring's use.
    unsafe { ring.submission().push(&accept)? };

    ring.submit()?;
    loop {
        for completion in ring.completion() {
            close(completion.result())?;
        }
    }
}

/// Closes what an accept has brought.
fn close(result: i32) -> Result<()> {
    if result < 0 {
        return Err(std::io::Error::from_raw_os_error(-result).into());
    }
    // SAFETY: the accept made this descriptor for us, and nobody else has it.
    let client = unsafe { OwnedFd::from_raw_fd(result) };
    drop(client);
    Ok(())
}
