//! Peer name: the client's address, although the slot has no descriptor.
//!
//! The server must send every client its own address, in one line:
//! `you are 127.0.0.1:51234`. `getpeername(2)` needs a descriptor, and a client
//! in a slot has none. An accept can write the client's address to memory, but
//! a multishot accept writes the addresses of all clients to the same place.

use std::net::{Ipv4Addr, SocketAddrV4};
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

const SLOTS: u32 = 64;

fn main() -> ExitCode {
    environment::report("peer_name", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(16)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let mut queues = Queues::new(&mut ring);
    // A line for each slot: the kernel reads it until the send has completed.
    let mut lines = vec![String::new(); SLOTS as usize];

    arm_accept(&mut queues, &listener)?;
    println!("listening on {}", listener.address());
    loop {
        queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = queues.next_completion() {
            let token = Token::unpack(completion.user_data());
            if token.is_none_or(|token| token.op != Op::Accept) {
                continue;
            }
            // TODO: read the caller's address before anything can overwrite it.
            let caller = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
            if !cqueue::more(completion.flags()) {
                arm_accept(&mut queues, &listener)?;
            }
            if completion.result() >= 0 {
                let slot = completion.result() as u32;
                lines[slot as usize] = format!("you are {caller}\n");
                answer(&mut queues, slot, &lines[slot as usize])?;
            }
        }
    }
}

// TODO: `opcode::Accept` takes two pointers: to a `libc::sockaddr_in`, and to
// its length, which must be set before. Where do both live until the completion
// comes?
fn arm_accept(queues: &mut Queues<'_>, listener: &Listener) -> Result<()> {
    let accept = opcode::AcceptMulti::new(Fd(listener.fd()))
        .allocate_file_index(true)
        .build()
        .user_data(Token::of(Op::Accept).pack());
    // SAFETY: the entry points at no memory.
    unsafe { queues.push(&accept) }.context("submitting a full queue")
}

/// Sends the line and closes the slot, in that order.
fn answer(queues: &mut Queues<'_>, slot: u32, line: &str) -> Result<()> {
    let send = opcode::Send::new(Fixed(slot), line.as_ptr(), line.len() as u32)
        .flags(libc::MSG_NOSIGNAL)
        .build()
        .flags(Flags::IO_HARDLINK)
        .user_data(Token::on(Op::Send, slot, 0).pack());
    let close = opcode::Close::new(Fixed(slot))
        .build()
        .user_data(Token::on(Op::Close, slot, 0).pack());
    queues.room_for(2)?;
    for entry in [send, close] {
        // SAFETY: the line belongs to its slot, and no other client gets that
        // before the close, which waits for the send.
        unsafe { queues.push(&entry) }.context("submitting a full queue")?;
    }
    Ok(())
}
