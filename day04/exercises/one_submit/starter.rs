//! One submit: a turn of the loop is one system call.
//!
//! Every client sends one request, gets it back, and is closed. This server
//! calls the kernel for every entry that it pushes, and once more for every
//! completion that it takes: seven calls for each client. One call can submit
//! all entries that a turn pushes, and also wait for the next completions.

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;
const REQUEST: usize = 64;

fn main() -> ExitCode {
    environment::report("one_submit", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    // Memory for each slot's request. It belongs to the kernel while an
    // operation on it is in flight.
    let mut requests = vec![[0; REQUEST]; SLOTS as usize];

    arm_accept(&mut ring, &listener)?;
    println!("listening on {}", listener.address());
    loop {
        wait(&mut ring)?;
        // TODO: there may be more than one.
        let Some(completion) = ring.completion().next() else { continue };
        handle(&mut ring, &listener, &mut requests, &completion)?;
    }
}

/// Submits the pushed entries, and waits for a completion.
fn wait(ring: &mut IoUring) -> Result<()> {
    match ring.submit_and_wait(1) {
        // A stop and continue of the process interrupts the wait.
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        waited => waited.map(drop).context("waiting"),
    }
}

fn handle(
    ring: &mut IoUring,
    listener: &Listener,
    requests: &mut [[u8; REQUEST]],
    completion: &cqueue::Entry,
) -> Result<()> {
    let result = completion.result();
    let Some(token) = Token::unpack(completion.user_data()) else {
        return Ok(());
    };
    let slot = token.slot;
    match token.op {
        Op::Accept => {
            if !cqueue::more(completion.flags()) {
                arm_accept(ring, listener)?;
            }
            if result < 0 {
                return Ok(());
            }
            let request = &mut requests[result as usize];
            let recv = opcode::Recv::new(
                Fixed(result as u32),
                request.as_mut_ptr(),
                REQUEST as u32,
            );
            push(ring, Token::on(Op::Recv, result as u32, 0), recv.build())
        }
        Op::Recv if result > 0 => {
            let request = &requests[slot as usize];
            let send =
                opcode::Send::new(Fixed(slot), request.as_ptr(), result as u32)
                    .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
            push(ring, Token::on(Op::Send, slot, 0), send.build())
        }
        Op::Recv | Op::Send => push(
            ring,
            Token::on(Op::Close, slot, 0),
            opcode::Close::new(Fixed(slot)).build(),
        ),
        _ => Ok(()),
    }
}

fn arm_accept(ring: &mut IoUring, listener: &Listener) -> Result<()> {
    let accept = opcode::AcceptMulti::new(Fd(listener.fd()))
        .allocate_file_index(true)
        .build();
    push(ring, Token::of(Op::Accept), accept)
}

fn push(ring: &mut IoUring, token: Token, entry: squeue::Entry) -> Result<()> {
    // SAFETY: a slot's request is touched by one operation at a time, and lives
    // as long as the loop.
    unsafe { ring.submission().push(&entry.user_data(token.pack())) }?;
    // TODO: a call for every entry.
    ring.submit().context("submitting")?;
    Ok(())
}
