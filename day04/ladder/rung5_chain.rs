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
//! - Nobody says that a slot is free again. As long as the server runs it need not know: the
//!   kernel puts the next client there. At the end it has to look (`look`).
//! - Up to Linux 6.12 a close waits for older operations on other slots: one silent client
//!   keeps all others from seeing their end. (Day 04 shuts down first; here that would be a
//!   fourth entry, and it runs on a thread of its own.)
//! - Linux 6.10 and 6.11 could forget the rest of a chain whose entries all skip their
//!   completions (liburing issue 1235).
//!
//! What else day 04 has and this has not: see `scaffold.rs`.

use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use common::listener::Listener;
use common::ring::{self, RingOptions};
use common::signals::StopSignals;
use common::talk::Talk;
use common::token::Op;
use io_uring::opcode;
use io_uring::squeue::Flags;
use io_uring::types::Fixed;
use serde_json::json;

use crate::scaffold::{ACK, Basics, Done, ENTRIES, Reply, Rung};

mod scaffold;

/// Bytes that the receive throws away at most.
const DISCARD: u32 = 1 << 20;
/// RUNG 5: how often to look which slots are free, where nobody tells.
const LOOK: Duration = Duration::from_millis(10);

/// Rung 5 of the ladder: receive, send and close in one chain
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    basics: Basics,
}

fn main() -> ExitCode {
    environment::report("rung5_chain", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.basics.listen)?;
    let (mut ring, _) = ring::build_best(&RingOptions::default(), ENTRIES)?;
    ring::register_slots(&ring.submitter(), options.basics.slots)?;

    let mut talk = Talk::new(options.basics.talk);
    let title = "rung 5 · receive, send and close in one chain";
    scaffold::announce(&mut talk, title, listener.address(), Reply::Ack, json!({}));

    let taken = AtomicU64::new(0);
    let rung = Rung::new(&mut ring, &listener, &signals, &taken, &options.basics);
    let mut server = Server { rung, slots: options.basics.slots };
    server.serve()?;
    // RUNG 5: how many bytes came, nobody knows.
    scaffold::summarise(&mut talk, server.rung.counts(), json!({"bytes_in": null}));
    Ok(())
}

struct Server<'a> {
    rung: Rung<'a>,
    slots: u32,
}

impl Server<'_> {
    fn serve(&mut self) -> Result<()> {
        while self.rung.goes_on()? {
            if self.rung.is_stopping() || self.rung.slots.held() == self.slots {
                // RUNG 5: looks complete at once; the wait is for something else.
                let looks = self.look()?;
                self.rung.queues.submit_and_wait(looks + 1, Some(LOOK)).context("waiting")?;
            } else {
                self.rung.queues.submit_and_wait(1, self.rung.patience()).context("waiting")?;
            }
            while let Some(done) = self.rung.next()? {
                self.handle(done)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, done: Done) -> Result<()> {
        match done.op {
            Op::Accept => self.converse(done.slot),
            Op::Discard => {
                if done.result == -libc::EBADF {
                    self.rung.forget(done.slot); // the slot is empty
                }
                Ok(())
            }
            // RUNG 5: only what failed completes. The entries after it were dropped, the
            // close among them.
            _ => {
                self.rung.counts.requests -= 1;
                self.rung.counts.bytes_out -= ACK.len() as u64;
                self.rung.ended(done)
            }
        }
    }

    /// RUNG 5: everything that will ever be done for this client. It counts as answered until
    /// we hear otherwise.
    fn converse(&mut self, slot: u32) -> Result<()> {
        // For TCP, MSG_TRUNC throws away what it receives: no buffer (`tcp(7)`).
        let recv = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), DISCARD)
            .flags(libc::MSG_TRUNC)
            .build()
            .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
        let send = opcode::Send::new(Fixed(slot), ACK.as_ptr(), ACK.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
        let close = opcode::Close::new(Fixed(slot)).build().flags(Flags::SKIP_SUCCESS);
        self.rung.counts.requests += 1;
        self.rung.counts.bytes_out += ACK.len() as u64;
        self.rung.push_chain(slot, &[(Op::Recv, recv), (Op::Send, send), (Op::Close, close)])
    }

    /// RUNG 5: asks the kernel about every slot that was given out. A peek takes nothing from
    /// the client, and fails with EBADF if the slot is empty.
    fn look(&mut self) -> Result<u32> {
        let occupied: Vec<u32> = self.rung.slots.occupied().collect();
        for &slot in &occupied {
            let peek = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), 1)
                .flags(libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT)
                .build();
            self.rung.push_look(slot, peek)?;
        }
        Ok(occupied.len() as u32)
    }
}
