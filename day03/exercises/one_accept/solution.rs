//! one_accept: a hundred clients, and one accept entry for all of them.
//!
//! The server lets clients in and closes their connections at once. One accept
//! is armed for all of them.
//!
//! Run it: `cargo run --bin one_accept`, then `nc 127.0.0.1 PORT`

use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::Result;
use common::listener::Listener;
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let mut ring = IoUring::new(8)?;
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    println!("listening on {}", listener.address());

    let accept = opcode::AcceptMulti::new(types::Fd(listener.fd())).build();
    //                   ^^^^^^^^^^^ stays armed. It has no place for the
    //                               address, because all completions would
    //                               write there
    // SAFETY: the entry points at no memory; the listener outlives the ring's
    // use.
    unsafe { ring.submission().push(&accept)? };
    //       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ once, before the loop

    loop {
        ring.submit_and_wait(1)?;
        // ^^^^^^^^^^^^^^^^^ from the second turn on it only waits
        for completion in ring.completion() {
            close(completion.result())?;
        }
    }
}

/// Closes the descriptor that an accept returned.
fn close(result: i32) -> Result<()> {
    if result < 0 {
        return Err(std::io::Error::from_raw_os_error(-result).into());
    }
    // SAFETY: the accept made this descriptor, and it has no other owner.
    let client = unsafe { OwnedFd::from_raw_fd(result) };
    drop(client);
    Ok(())
}
