//! Last orders: Ctrl-C ends the server, with nothing in flight and no slot
//! taken.
//!
//! Clients keep their slots until they leave. When SIGINT comes, the server
//! cancels everything in flight. Each operation completes with ECANCELED; then
//! its slot is closed. The server returns when no slot is taken and no accept
//! is armed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::signals::StopSignals;
use common::slots::Slots;
use common::token::{Op, Token};
use io_uring::types::{CancelBuilder, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;

fn main() -> ExitCode {
    environment::report("last_orders", run())
}

fn run() -> Result<()> {
    let mut signals = StopSignals::block()?;
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let queues = Queues::new(&mut ring);
    let (slots, door) = (Slots::new(SLOTS), listener.fd());
    let mut bar = Bar { queues, slots, door, accepting: false, closing: false };

    // A stop signal is a completion, like everything else: the signalfd is read
    // by the ring.
    let (record, length) = signals.record();
    let read = opcode::Read::new(Fd(signals.fd()), record, length).build();
    bar.push(Token::of(Op::Signal), read)?;
    bar.accept()?;
    println!("listening on {}", listener.address());
    while !bar.closing || bar.accepting || bar.slots.held() > 0 {
        //                ^^^^^^^^^^^^^ the cancel is a request: the accept ends
        //                              with its own completion
        bar.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = bar.queues.next_completion() {
            let Some(token) = Token::unpack(completion.user_data()) else {
                continue;
            };
            if token.op == Op::Signal {
                bar.closing = true;
                let cancel =
                    opcode::AsyncCancel2::new(CancelBuilder::any().all())
                        //                                   ^^^^^^^^^^^
                        // the accept and every receive
                        .build();
                bar.push(Token::of(Op::Cancel), cancel)?;
                continue;
            }
            bar.handle(token, &completion)?;
        }
    }
    Ok(())
}

struct Bar<'ring> {
    queues: Queues<'ring>,
    /// Which slots have a client, and how many operations each of them has in
    /// flight.
    slots: Slots,
    door: i32,
    /// The accept is armed.
    accepting: bool,
    /// SIGINT has come.
    closing: bool,
}

impl Bar<'_> {
    fn accept(&mut self) -> Result<()> {
        self.accepting = true;
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(Token::of(Op::Accept), accept)
    }

    fn handle(
        &mut self,
        token: Token,
        completion: &cqueue::Entry,
    ) -> Result<()> {
        let (slot, result) = (token.slot, completion.result());
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.accepting = false;
                    if !self.closing {
                        self.accept()?;
                    }
                }
                if result >= 0 { self.seat(result as u32) } else { Ok(()) }
            }
            Op::Discard => {
                self.slots.finish(slot, token.generation);
                if result > 0 && !self.closing {
                    //           ^^^^^^^^^^^^^ ECANCELED is an end like any
                    //                         other: now the slot may go
                    self.discard(slot)
                } else {
                    self.close(slot)
                }
            }
            Op::Close => {
                self.slots.finish(slot, token.generation);
                self.slots.release(slot);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn seat(&mut self, slot: u32) -> Result<()> {
        self.slots.occupy(slot);
        if self.closing {
            return self.close(slot);
            //     ^^^^^^^^^^^^^^^^ it was accepted while the accept was being
            //                      cancelled
        }
        self.discard(slot)
    }

    /// Waits for the client's end, and discards what it sends.
    fn discard(&mut self, slot: u32) -> Result<()> {
        let recv = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), 4096)
            .flags(libc::MSG_TRUNC)
            .build();
        self.push_on(slot, Op::Discard, recv)
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        self.push_on(slot, Op::Close, opcode::Close::new(Fixed(slot)).build())
    }

    fn push_on(
        &mut self,
        slot: u32,
        op: Op,
        entry: squeue::Entry,
    ) -> Result<()> {
        let generation =
            self.slots.generation(slot).context("a slot without a client")?;
        self.slots.start(slot);
        self.push(Token::on(op, slot, generation), entry)
    }

    fn push(&mut self, token: Token, entry: squeue::Entry) -> Result<()> {
        // SAFETY: the only memory that an entry points at is the signal's
        // record, which outlives the loop.
        unsafe { self.queues.push(&entry.user_data(token.pack())) }
            .context("submitting")
    }
}
