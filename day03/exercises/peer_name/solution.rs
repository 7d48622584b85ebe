//! Peer name: the client's address, although the slot has no descriptor.
//!
//! The server must send every client its own address, in one line:
//! `you are 127.0.0.1:51234`. `getpeername(2)` needs a descriptor, and a client
//! in a slot has none. So the server arms one single accept at a time, which
//! writes the address, and reads the address before it arms the next one.

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

/// Memory to which an accept writes the caller's address. It belongs to the
/// kernel while the accept is armed.
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
    let mut caller =
        Box::new(Caller { address: unsafe { std::mem::zeroed() }, length: 0 });
    //  ^^^^^^^^ a place that does not move, for as long as the loop runs
    arm_accept(&mut queues, &listener, &mut caller)?;
    println!("listening on {}", listener.address());
    loop {
        queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = queues.next_completion() {
            let token = Token::unpack(completion.user_data());
            if token.is_none_or(|token| token.op != Op::Accept) {
                continue;
            }
            let address = SocketAddrV4::new(
                Ipv4Addr::from(u32::from_be(caller.address.sin_addr.s_addr)),
                u16::from_be(caller.address.sin_port),
                // ^^^^^^^^^ the kernel writes addresses in network byte order
            );
            arm_accept(&mut queues, &listener, &mut caller)?;
            // ^^^^^^^ after the address was read: from here on the kernel may
            //         write the next one
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
    caller: &mut Caller,
) -> Result<()> {
    caller.length = size_of::<libc::sockaddr_in>() as u32;
    // ^^^^^^^^^^ in: the room there is; out: the room the address took
    let address = (&raw mut caller.address).cast();
    let accept =
        opcode::Accept::new(Fd(listener.fd()), address, &mut caller.length)
            .file_index(Some(DestinationSlot::auto_target()))
            //          ^^^^ single, and still into a slot
            .build()
            .user_data(Token::of(Op::Accept).pack());
    // SAFETY: the caller lives on the heap longer than the loop, and is looked
    // at only after the accept's completion, before the next accept is armed.
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
