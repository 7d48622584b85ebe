//! Re-arm: the accept has ended, and the program did not notice.
//!
//! This server greets every client with one line and closes. It arms one
//! multishot accept, once. The completion queue holds four entries, so when
//! many clients come at once the accept ends, and later clients wait forever.
//! Arm the accept again whenever it ends, for any reason.

use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::squeue::Flags;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode};

const GREETING: &[u8] = b"welcome\n";

fn main() -> ExitCode {
    environment::report("rearm", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    // Leave these sizes as they are: the small completion queue ends an accept.
    let mut ring = IoUring::builder().setup_cqsize(4).build(4)?;
    ring::register_slots(&ring.submitter(), 64)?;
    let mut queues = Queues::new(&mut ring);

    arm_accept(&mut queues, &listener)?;
    println!("listening on {}", listener.address());
    loop {
        queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = queues.next_completion() {
            match Token::unpack(completion.user_data()).map(|token| token.op) {
                Some(Op::Accept) => accepted(&mut queues, &completion)?,
                // A greeting may fail: then its client has left.
                _ => {}
            }
        }
    }
}

fn arm_accept(queues: &mut Queues<'_>, listener: &Listener) -> Result<()> {
    let accept = opcode::AcceptMulti::new(Fd(listener.fd()))
        .allocate_file_index(true)
        .build();
    // SAFETY: the entry points at no memory.
    unsafe { queues.push(&accept.user_data(Token::of(Op::Accept).pack())) }?;
    Ok(())
}

/// A completion of the accept: a client in a slot, or an error.
fn accepted(queues: &mut Queues<'_>, completion: &cqueue::Entry) -> Result<()> {
    // TODO: ask whether the accept stays armed, and arm it again if it does
    // not. Then let the server outlive an accept that ends with an error.
    let result = completion.result();
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result)).context("accepting");
    }
    greet(queues, result as u32)
}

/// Sends the greeting and closes the slot, in that order; the close comes even
/// if the send fails.
fn greet(queues: &mut Queues<'_>, slot: u32) -> Result<()> {
    let send = opcode::Send::new(
        Fixed(slot),
        GREETING.as_ptr(),
        GREETING.len() as u32,
    )
    .flags(libc::MSG_NOSIGNAL)
    .build()
    .flags(Flags::IO_HARDLINK)
    .user_data(Token::on(Op::Send, slot, 0).pack());
    let close = opcode::Close::new(Fixed(slot))
        .build()
        .user_data(Token::on(Op::Close, slot, 0).pack());
    queues.room_for(2)?;
    for entry in [send, close] {
        // SAFETY: the greeting is a constant.
        unsafe { queues.push(&entry) }?;
    }
    Ok(())
}
