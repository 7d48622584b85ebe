// expect: E-TOO-MANY-ENTRIES
// why: a multishot accept is cancelled after its first client, and armed anew.

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

    loop {
        ring.submit_and_wait(1)?;
        let mut brought = 0;
        let completions: Vec<_> = ring.completion().collect();
        for completion in completions {
            if completion.user_data() == 0 && completion.result() >= 0 {
                close(completion.result())?;
                brought += 1;
            }
        }
        if brought > 0 {
            let cancel = opcode::AsyncCancel::new(0).build().user_data(1);
            // SAFETY: neither entry points at memory.
            unsafe {
                ring.submission().push(&cancel)?;
                ring.submit_and_wait(2)?;
                ring.submission().push(&accept)?;
            }
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
