//! Rung 5: the whole conversation in one chain. Receive, send, close.
//!
//! ```text
//! cargo run -p day04 --example rung5_chain
//! ```
//!
//! The difference to rung 4: the chain is queued when the client is accepted, and every entry
//! of it skips its completion. The program hears of a client once, at the accept; the kernel
//! does the rest. With one client after the other *one* call a connection. A chain serves one
//! request, so there is no `--reply echo`.
//!
//! What it costs:
//! - No completion, no length: what came is unknown, so it is not even kept.
//! - End-of-file is acked like a request: to the kernel a receive of 0 bytes has succeeded.
//! - A request that is still coming when the answer goes out is met by the close, which
//!   resets the connection, and the client may lose the answer.
//! - No completion says that a slot is free again. As long as the server runs it need not know:
//!   the kernel puts the next client there. At the end it has to look (`look`).
//! - Up to Linux 6.12 a close waits for older operations on other slots: one silent client
//!   keeps all others from seeing their end. (Day 04 shuts down first; here that would be a
//!   fourth entry, and it runs on a thread of its own.)
//! - Linux 6.10 and 6.11 could forget the rest of a chain whose entries all skip their
//!   completions (liburing issue 1235).
//!
//! What else day 04 has and this has not: see `scaffold.rs`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use common::token::{Op, Token};
use io_uring::opcode;
use io_uring::squeue::Flags;
use io_uring::types::Fixed;

use crate::scaffold::{ACK, Basics, Done, Options, Reply, Rung, Server};

mod scaffold;

/// Bytes that the receive discards at most.
const DISCARD: u32 = 1 << 20;
/// RUNG 5: how often to look which slots are free, since no completion says so.
const LOOK: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    scaffold::report(run(Basics::parse()))
}

fn run(basics: Basics) -> Result<()> {
    let rung = Chain { slots: basics.slots };
    let options = Options { reply: Reply::Ack, basics };
    let title = "rung 5 · receive, send and close in one chain";
    scaffold::serve(title, &options, scaffold::ring()?, rung)
}

struct Chain {
    slots: u32,
}

impl Rung for Chain {
    fn wait(&mut self, server: &mut Server<'_>) -> Result<()> {
        if !server.is_stopping() && server.slots.held() < self.slots {
            return server.submit_and_wait(1);
        }
        // RUNG 5: looks complete at once; the wait is for something else.
        let looks = look(server)?;
        server.queues.submit_and_wait(looks + 1, Some(LOOK)).context("waiting")
    }

    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        match done.op {
            Op::Accept => converse(server, done.slot),
            Op::Discard => {
                if done.result == -libc::EBADF {
                    forget(server, done.slot);
                }
                Ok(())
            }
            // RUNG 5: only a failed entry completes. The entries after it were cancelled, the close
            // among them.
            _ => {
                server.counts.requests -= 1;
                server.counts.bytes_out -= ACK.len() as u64;
                server.ended(done)
            }
        }
    }
}

/// RUNG 5: everything that will ever be done for this client. It counts as answered unless a
/// failure completes. How many bytes it sent is never known.
fn converse(server: &mut Server<'_>, slot: u32) -> Result<()> {
    // For TCP, MSG_TRUNC discards what it receives: no buffer (`tcp(7)`).
    let recv = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), DISCARD)
        .flags(libc::MSG_TRUNC)
        .build()
        .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
    let send = opcode::Send::new(Fixed(slot), ACK.as_ptr(), ACK.len() as u32)
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build()
        .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
    let close = opcode::Close::new(Fixed(slot)).build().flags(Flags::SKIP_SUCCESS);
    server.counts.requests += 1;
    server.counts.bytes_in = None;
    server.counts.bytes_out += ACK.len() as u64;
    server.push_chain(slot, &[(Op::Recv, recv), (Op::Send, send), (Op::Close, close)])
}

/// RUNG 5: asks the kernel about every slot that was given out. A peek takes nothing from
/// the client, and fails with EBADF if the slot is empty.
fn look(server: &mut Server<'_>) -> Result<u32> {
    let occupied: Vec<u32> = server.slots.occupied().collect();
    for &slot in &occupied {
        let generation = server.slots.generation(slot).context("it is occupied")?;
        let peek = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), 1)
            .flags(libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT)
            .build();
        server.push_entry(Token::on(Op::Discard, slot, generation), peek)?;
    }
    Ok(occupied.len() as u32)
}

/// RUNG 5: the slot was found empty: its chain has ended without a completion.
fn forget(server: &mut Server<'_>, slot: u32) {
    if let Some(generation) = server.slots.generation(slot) {
        server.slots.finish(slot, generation);
        server.slots.release(slot);
    }
}
