//! The three ways to end a connection. To *finish* it: after the last reply, wait for the
//! client's end. To *abort* it: cancel what is in flight. To *close* it: empty its slot.

use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use common::queues::Queues;
use common::ring::{self, RingOptions};
use common::token::Op;
use io_uring::opcode;
use io_uring::types::Fixed;

use crate::connection::{Connection, Stage};
use crate::events::Event;
use crate::receive::Receive;
use crate::server::{Link, Server};

/// Bytes that one receive discards at most.
const DISCARD: u32 = 1 << 20;

/// How this kernel closes a slot.
pub struct Closing {
    /// The client sees its end only when older operations on other slots have ended.
    pub late: bool,
    /// System calls that the test took.
    pub enters: u64,
}

impl Server<'_> {
    /// Ends a connection on which nothing is left to do. Called after its completions.
    pub fn end_if_done(&mut self, slot: u32) -> Result<()> {
        if self.slots.in_flight(slot) > 0 {
            return Ok(());
        }
        let Connection { stage, input, output, .. } = &self.connections[slot as usize];
        match stage {
            Stage::Open if input.receive == Receive::Ended && output.replies.is_empty() => {
                self.finish(slot, None)
            }
            Stage::Aborting => {
                self.drop_replies(slot);
                self.close(slot)
            }
            _ => Ok(()),
        }
    }

    // ANCHOR: finish
    /// Ends our side after the last reply, and waits for the client's end.
    ///
    /// If the client is still sending, a close at once would reset the connection, and the reset
    /// could overtake the reply. So what it sends is discarded until it ends. A client that has
    /// ended already gets the reply and the close in one chain. (After a stop signal the server
    /// itself has ended the client's input.)
    pub fn finish(&mut self, slot: u32, send: Option<Link>) -> Result<()> {
        let input = &self.connections[slot as usize].input;
        let ended = input.receive == Receive::Ended && !self.stopping.signalled();
        if ended && send.is_none() {
            return self.close(slot);
        }
        self.connections[slot as usize].stage = Stage::Finishing;
        self.note_progress(slot);
        let chain = if ended {
            let shutdown = self.closing.late.then(|| shutdown_entry(slot, libc::SHUT_RDWR));
            [send, shutdown, Some(close_entry(slot))]
        } else {
            [send, Some(shutdown_entry(slot, libc::SHUT_WR)), Some(discard_entry(slot))]
        };
        self.push_chain(slot, chain)?;
        self.soon += 1; // most clients end as soon as they have their answer
        Ok(())
    }
    // ANCHOR_END: finish

    /// The shutdown failed, because the client is gone or the kernel has no worker thread for it;
    /// or the shutdown went alone, because the queue is too small for a chain.
    pub fn handle_shutdown(&mut self, slot: u32, result: i32) -> Result<()> {
        self.ack_is_sent(slot);
        match self.connections[slot as usize].stage {
            Stage::Finishing if result == 0 => self.push_on(slot, discard_entry(slot)),
            Stage::Aborting => self.end_if_done(slot),
            _ => self.close_after(slot, None),
        }
    }

    // ANCHOR: discard
    /// The client sent more (a positive result), has ended, or is gone.
    pub fn handle_discard(&mut self, slot: u32, result: i32) -> Result<()> {
        self.ack_is_sent(slot);
        match (self.connections[slot as usize].stage, result) {
            (Stage::Finishing, 1..) => self.push_on(slot, discard_entry(slot)),
            (Stage::Finishing, 0) => self.close_after(slot, None),
            (Stage::Finishing, error) => {
                self.report_failure(slot, -error);
                self.close_after(slot, None)
            }
            _ => self.end_if_done(slot),
        }
    }
    // ANCHOR_END: discard

    // ANCHOR: abort
    /// Ends a connection in any stage. A close would not end operations in flight on the slot, so
    /// they are cancelled first, and the close follows the last completion.
    ///
    /// A cancel does not find an entry that is linked and has not started. If anything is left, the
    /// next deadline comes back here.
    pub fn abort(&mut self, slot: u32) -> Result<()> {
        let stage = &mut self.connections[slot as usize].stage;
        if *stage == Stage::Closing {
            return Ok(());
        }
        *stage = Stage::Aborting;
        self.note_progress(slot);
        self.leave_queue(slot);
        if self.slots.in_flight(slot) > 0 {
            for op in [Op::Recv, Op::RecvMulti, Op::Send, Op::Discard] {
                self.add_cancel(self.token(slot, op))?;
            }
        }
        self.end_if_done(slot)
    }
    // ANCHOR_END: abort

    // ANCHOR: close
    /// Closes a slot on which nothing is in flight: otherwise a late completion would reach the
    /// next client. On kernels where a close is late, a shutdown comes first.
    pub fn close(&mut self, slot: u32) -> Result<()> {
        let shutdown = self.closing.late.then(|| shutdown_entry(slot, libc::SHUT_RDWR));
        self.close_after(slot, shutdown)
    }

    fn close_after(&mut self, slot: u32, shutdown: Option<Link>) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Closing;
        self.soon += 1;
        self.push_chain(slot, [None, shutdown, Some(close_entry(slot))])
    }
    // ANCHOR_END: close

    /// The slot is free: the client that has waited longest is served.
    pub fn handle_close(&mut self, slot: u32, result: i32) -> Result<()> {
        self.ack_is_sent(slot);
        if result < 0 {
            self.report_failure(slot, -result); // there was nothing in it to close
        }
        self.slots.release(slot);
        self.connections[slot as usize].stage = Stage::Empty;
        self.receiving.closed += 1;
        match self.accepting.waiting.pop_front() {
            Some(next) => self.open(next),
            None => Ok(()),
        }
    }

    pub fn report_failure(&mut self, slot: u32, errno: i32) {
        self.counts.resets += u64::from(errno == libc::ECONNRESET || errno == libc::EPIPE);
        self.report(&Event::failed(slot, errno));
    }
}

fn close_entry(slot: u32) -> Link {
    (Op::Close, opcode::Close::new(Fixed(slot)).build())
}

fn shutdown_entry(slot: u32, which: i32) -> Link {
    (Op::Shutdown, opcode::Shutdown::new(Fixed(slot), which).build())
}

/// A receive that discards what it gets: for TCP, MSG_TRUNC does so without a buffer
/// (`tcp(7)`).
fn discard_entry(slot: u32) -> Link {
    let receive = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), DISCARD);
    (Op::Discard, receive.flags(libc::MSG_TRUNC).build())
}

impl Closing {
    /// Finds out whether the peer of a closed slot waits for its end while *another* slot is
    /// in use.
    ///
    /// Up to Linux 6.12 a file leaves the table in order with the older operations on any slot.
    /// There a close alone ends nothing, and a shutdown has to come first. A shutdown always runs
    /// in a worker thread of the kernel, so it is used only where it is needed.
    pub fn ask_the_kernel() -> Result<Closing> {
        // ANCHOR: late
        let (mut peer, closed) = UnixStream::pair()?;
        let (_silent, in_use) = UnixStream::pair()?;
        peer.set_nonblocking(true)?;
        let (mut ring, _) = ring::build_best(&RingOptions::default(), 2)?;
        ring.submitter().register_files(&[in_use.as_raw_fd(), closed.as_raw_fd()])?;
        drop(closed);
        let mut queues = Queues::new(&mut ring);
        queues.register_ring_fd();
        let poll = opcode::PollAdd::new(Fixed(0), libc::POLLIN as u32).build();
        // SAFETY: neither entry points at memory.
        unsafe { queues.push(&poll).and_then(|()| queues.push(&close_entry(1).1)) }?;
        while queues.next_completion().is_none() {
            queues.submit_and_wait(1, None).context("waiting for completions")?;
        }
        let late = peer.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        // ANCHOR_END: late
        Ok(Closing { late, enters: queues.enters() })
    }
}
