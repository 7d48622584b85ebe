//! Idle clients: one deadline for all.
//!
//! An echo server. The server must disconnect a client that has sent nothing
//! for a second. With a timeout for each client, every message would cost one
//! more entry, one more completion and one more cancel. The loop waits anyway:
//! that wait can end when the next client is due.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;
const CHUNK: usize = 256;
/// How long a client may be silent, after its arrival or its last message.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    environment::report("idle_clients", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let chunks = vec![[0; CHUNK]; SLOTS as usize];
    let mut echo =
        Echo { queues: Queues::new(&mut ring), chunks, door: listener.fd() };
    echo.accept()?;
    println!("listening on {}", listener.address());
    eprintln!("clients that are silent for {PATIENCE:?} must be disconnected");
    loop {
        // TODO: how long may this wait last?
        echo.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = echo.queues.next_completion() {
            echo.handle(&completion)?;
        }
        // TODO: whose time is up? `opcode::Shutdown` with `libc::SHUT_RDWR`
        // ends the receive in flight with 0, and then the slot is closed as
        // usual. (A close alone would not end it, and the client would not
        // notice.)
    }
}

struct Echo<'ring> {
    queues: Queues<'ring>,
    chunks: Vec<[u8; CHUNK]>,
    door: i32,
    // TODO: when did each client last send something?
}

impl Echo<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(Op::Accept, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        let slot = token.slot;
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result >= 0 { self.receive(result as u32) } else { Ok(()) }
            }
            Op::Recv if result > 0 => {
                let chunk = self.chunks[slot as usize].as_ptr();
                let send = opcode::Send::new(Fixed(slot), chunk, result as u32)
                    .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
                self.push(Op::Send, slot, send.build())
            }
            Op::Send if result > 0 => self.receive(slot),
            Op::Recv | Op::Send => self.push(
                Op::Close,
                slot,
                opcode::Close::new(Fixed(slot)).build(),
            ),
            _ => Ok(()),
        }
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let chunk = self.chunks[slot as usize].as_mut_ptr();
        let recv = opcode::Recv::new(Fixed(slot), chunk, CHUNK as u32).build();
        self.push(Op::Recv, slot, recv)
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: a slot's chunk is used by one operation at a time and lives
        // as long as the loop.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}
