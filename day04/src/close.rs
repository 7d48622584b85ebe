//! Ends of a connection: after the last reply, at once, and the closing of its slot.

use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use common::queues::Queues;
use common::token::Op;
use io_uring::types::Fixed;
use io_uring::{IoUring, opcode};

use crate::connection::Stage;
use crate::events::Event;
use crate::server::{Link, Server};

/// Bytes that one receive discards at most.
const DISCARD: u32 = 1 << 20;

/// What this kernel needs to close a slot.
pub struct Closing {
    /// The client learns of a close only when other clients' operations have ended.
    pub late: bool,
    /// Calls that it took to find out.
    pub enters: u64,
}

impl Server<'_> {
    // ANCHOR: end_if_done
    /// Asks whether a connection is done, after each of its completions.
    pub fn end_if_done(&mut self, slot: u32) -> Result<()> {
        if self.slots.in_flight(slot) > 0 {
            return Ok(());
        }
        let connection = &self.connections[slot as usize];
        let done = connection.input.has_ended() && connection.output.is_empty();
        match connection.stage {
            // The client has not ended, we have cut it off: it may still be sending.
            Stage::Open if done && self.stopping.signalled => self.finish(slot, None),
            Stage::Open if done => self.close(slot),
            Stage::Aborting => {
                self.drop_replies(slot);
                self.close(slot)
            }
            _ => Ok(()),
        }
    }
    // ANCHOR_END: end_if_done

    // ANCHOR: finish
    /// Ends our side after the last reply, and waits for the client's end.
    ///
    /// Closing at once would reset the connection if the client is still sending, and the
    /// reset could overtake the reply. So what the client sends is discarded until it ends. If
    /// it has ended already, the slot is closed.
    pub fn finish(&mut self, slot: u32, send: Option<Link>) -> Result<()> {
        let ended = self.connections[slot as usize].input.has_ended();
        if ended && send.is_none() && !self.stopping.signalled {
            return self.close(slot);
        }
        self.connections[slot as usize].stage = Stage::Finishing;
        self.note_progress(slot);
        let chain = if ended && !self.stopping.signalled {
            let shutdown = self.closing.late.then(|| shutdown_entry(slot, libc::SHUT_RDWR));
            [send, shutdown, Some(close_entry(slot))]
        } else {
            [send, Some(shutdown_entry(slot, libc::SHUT_WR)), Some(discard_entry(slot))]
        };
        self.push_chain(slot, chain)?;
        self.expect_soon(); // most clients end as soon as they have their answer
        Ok(())
    }

    /// Our side has ended; or it cannot end: the client has gone, or the kernel has no worker
    /// thread for the shutdown.
    pub fn handle_shutdown(&mut self, slot: u32, result: i32) -> Result<()> {
        self.ack_is_sent(slot);
        match self.connections[slot as usize].stage {
            Stage::Finishing if result == 0 => self.add_discard(slot),
            Stage::Aborting => self.end_if_done(slot),
            _ => self.close_after(slot, None),
        }
    }

    /// The client sent more (a positive result), has ended, or is gone.
    pub fn handle_discard(&mut self, slot: u32, result: i32) -> Result<()> {
        self.ack_is_sent(slot);
        match (self.connections[slot as usize].stage, result) {
            (Stage::Finishing, 1..) => self.add_discard(slot),
            (Stage::Finishing, 0) => self.close_after(slot, None),
            (Stage::Finishing, error) => {
                self.report_failure(slot, -error);
                self.close_after(slot, None)
            }
            _ => self.end_if_done(slot),
        }
    }
    // ANCHOR_END: finish

    fn add_discard(&mut self, slot: u32) -> Result<()> {
        self.push_on(slot, discard_entry(slot))
    }

    // ANCHOR: abort
    /// A connection must go, whatever it is doing. Closing its slot would leave in flight what
    /// is in flight, so that is cancelled first.
    ///
    /// What is linked and has not begun cannot be found by a cancel. If something is left, the
    /// deadline comes back here.
    pub fn abort(&mut self, slot: u32) -> Result<()> {
        let stage = &mut self.connections[slot as usize].stage;
        if *stage == Stage::Closing {
            return Ok(());
        }
        *stage = Stage::Aborting;
        self.note_progress(slot);
        if self.slots.in_flight(slot) > 0 {
            for op in [Op::Recv, Op::Send, Op::Discard] {
                self.add_cancel(self.token(slot, op))?;
            }
        }
        self.end_if_done(slot)
    }
    // ANCHOR_END: abort

    // ANCHOR: close
    /// Closes a slot on which nothing is in flight: a late completion would otherwise reach
    /// the next client. Where a close is late, the shutdown comes first.
    pub fn close(&mut self, slot: u32) -> Result<()> {
        let shutdown = self.closing.late.then(|| shutdown_entry(slot, libc::SHUT_RDWR));
        self.close_after(slot, shutdown)
    }

    fn close_after(&mut self, slot: u32, shutdown: Option<Link>) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Closing;
        self.expect_soon();
        self.push_chain(slot, [None, shutdown, Some(close_entry(slot))])
    }

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
    // ANCHOR_END: close

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
    // ANCHOR: late
    /// Finds out whether the peer of a closed slot waits for its end while *another* slot is
    /// in use.
    ///
    /// Up to Linux 6.12 a file leaves the table in order with the operations on any slot that
    /// are older. There a close alone ends nothing, and a shutdown has to come first. A
    /// shutdown always runs in a worker thread of the kernel, so it is done only where it is
    /// needed.
    pub fn ask_the_kernel() -> Result<Closing> {
        let (mut peer, closed) = UnixStream::pair()?;
        let (_silent, in_use) = UnixStream::pair()?;
        peer.set_nonblocking(true)?;
        let mut ring = IoUring::new(2)?;
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
        Ok(Closing { late, enters: queues.enters() })
    }
    // ANCHOR_END: late
}
