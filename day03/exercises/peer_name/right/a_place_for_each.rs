//! Eight accepts are armed, each with a place of its own, known by its number.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::squeue::Flags;
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, opcode};

const SLOTS: u32 = 64;

/// Where an accept writes who called. It belongs to the kernel while the accept is armed.
struct Caller {
    address: libc::sockaddr_in,
    length: libc::socklen_t,
}

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

    // SAFETY: `sockaddr_in` is plain integers, for which all zeroes is a value.
    let mut callers: Vec<Caller> =
        (0..8).map(|_| Caller { address: unsafe { std::mem::zeroed() }, length: 0 }).collect();
    for (place, caller) in callers.iter_mut().enumerate() {
        arm_accept(&mut queues, &listener, place as u32, caller)?;
    }
    println!("listening on {}", listener.address());
    loop {
        queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = queues.next_completion() {
            let token = Token::unpack(completion.user_data());
            let Some(token) = token.filter(|token| token.op == Op::Accept) else { continue };
            let caller = &mut callers[token.slot as usize];
            let address = SocketAddrV4::new(
                Ipv4Addr::from(u32::from_be(caller.address.sin_addr.s_addr)),
                u16::from_be(caller.address.sin_port),
            );
            arm_accept(&mut queues, &listener, token.slot, caller)?;
            if completion.result() >= 0 {
                let slot = completion.result() as u32;
                lines[slot as usize] = format!("you are {address}\n");
                answer(&mut queues, slot, &lines[slot as usize])?;
            }
        }
    }
}

fn arm_accept(
    queues: &mut Queues<'_>,
    listener: &Listener,
    place: u32,
    caller: &mut Caller,
) -> Result<()> {
    caller.length = size_of::<libc::sockaddr_in>() as u32;
    let address = (&raw mut caller.address).cast();
    let accept = opcode::Accept::new(Fd(listener.fd()), address, &mut caller.length)
        .file_index(Some(DestinationSlot::auto_target()))
        .build()
        .user_data(Token::on(Op::Accept, place, 0).pack());
    // SAFETY: the caller lives on the heap longer than the loop, and is looked at only after
    // the accept's completion, before the next accept is armed.
    unsafe { queues.push(&accept) }.context("submitting a full queue")
}

/// Sends the line and closes the slot, in that order.
fn answer(queues: &mut Queues<'_>, slot: u32, line: &str) -> Result<()> {
    let send = opcode::Send::new(Fixed(slot), line.as_ptr(), line.len() as u32)
        .flags(libc::MSG_NOSIGNAL)
        .build()
        .flags(Flags::IO_HARDLINK)
        .user_data(Token::on(Op::Send, slot, 0).pack());
    let close =
        opcode::Close::new(Fixed(slot)).build().user_data(Token::on(Op::Close, slot, 0).pack());
    queues.room_for(2)?;
    for entry in [send, close] {
        // SAFETY: the line belongs to its slot, and no other client gets that before the
        // close, which waits for the send.
        unsafe { queues.push(&entry) }.context("submitting a full queue")?;
    }
    Ok(())
}
