//! Idle clients: one deadline for all.
//!
//! An echo server. The server disconnects a client that has sent nothing for a
//! second. The loop waits anyway: that wait ends when the next client is due,
//! and needs no entry.

use std::process::ExitCode;
use std::time::{Duration, Instant};

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
    let (queues, heard) = (Queues::new(&mut ring), vec![None; SLOTS as usize]);
    let mut echo = Echo { queues, chunks, door: listener.fd(), heard };
    echo.accept()?;
    println!("listening on {}", listener.address());
    loop {
        echo.queues
            .submit_and_wait(1, echo.next_deadline())
            //                  ^^^^^^^^^^^^^^^^^^^^
            // None with no client in: then it sleeps until one comes
            .context("waiting")?;
        while let Some(completion) = echo.queues.next_completion() {
            echo.handle(&completion)?;
        }
        echo.expire()?;
        // ^^^^^^^^^^ every turn, not only when the wait has timed out: with
        //            busy clients it never does
    }
}

struct Echo<'ring> {
    queues: Queues<'ring>,
    chunks: Vec<[u8; CHUNK]>,
    door: i32,
    /// When the client in each slot last sent something.
    heard: Vec<Option<Instant>>,
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
                if result < 0 {
                    return Ok(());
                }
                self.heard[result as usize] = Some(Instant::now());
                self.receive(result as u32)
            }
            Op::Recv if result > 0 => {
                self.heard[slot as usize] = Some(Instant::now());
                let chunk = self.chunks[slot as usize].as_ptr();
                let send = opcode::Send::new(Fixed(slot), chunk, result as u32)
                    .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
                self.push(Op::Send, slot, send.build())
            }
            Op::Send if result > 0 => self.receive(slot),
            Op::Recv | Op::Send => {
                self.heard[slot as usize] = None;
                self.push(
                    Op::Close,
                    slot,
                    opcode::Close::new(Fixed(slot)).build(),
                )
            }
            _ => Ok(()),
        }
    }

    /// How long until the next client is due.
    fn next_deadline(&self) -> Option<Duration> {
        let first = self.heard.iter().flatten().min()?;
        Some((*first + PATIENCE).saturating_duration_since(Instant::now()))
    }

    /// Disconnects the clients whose time is up.
    fn expire(&mut self) -> Result<()> {
        for slot in 0..SLOTS {
            if self.heard[slot as usize]
                .is_some_and(|heard| heard.elapsed() >= PATIENCE)
            {
                self.heard[slot as usize] = None;
                // ^^^^^^^^^^^^^^^^^^^^^^ once is enough; its receive will end
                //                        with 0
                let shutdown =
                    opcode::Shutdown::new(Fixed(slot), libc::SHUT_RDWR).build();
                self.push(Op::Shutdown, slot, shutdown)?;
            }
        }
        Ok(())
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
