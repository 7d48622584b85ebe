//! Receiving into buffers that the kernel picks when bytes have come.

use std::collections::VecDeque;

use anyhow::Result;
use common::buffers::Buffers;
use common::token::Op;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};

use crate::Conversation;
use crate::connection::{Connection, Stage};
use crate::events::Event;
use crate::server::Server;

/// `IORING_RECVSEND_POLL_FIRST`: wait for bytes without looking for them first. Since Linux
/// 5.19; `io_uring_enter(2)`, `IORING_OP_RECV`.
const POLL_FIRST: u16 = 1;
/// Closed slots after which the receives are renewed, at the earliest.
const RENEW_AFTER: u32 = 1024;

/// What comes from a client.
#[derive(Debug, Default)]
pub struct Input {
    receive: Receive,
    /// Part of a request has come, and its end has not.
    mid_request: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Receive {
    /// No receive is armed.
    #[default]
    Idle,
    Armed,
    /// One is armed, and is being cancelled.
    Cancelled,
    /// No receive is armed: the connection waits for a buffer.
    Parked,
    /// The client sends no more.
    Ended,
}

impl Input {
    /// The client sends no more.
    pub fn has_ended(&self) -> bool {
        self.receive == Receive::Ended
    }

    /// A receive is armed.
    pub fn is_armed(&self) -> bool {
        self.receive == Receive::Armed
    }
}

/// The buffers that the clients share, and who waits for one.
pub struct Receiving<'ring> {
    pub buffers: &'ring mut Buffers,
    pub conversation: Conversation,
    /// Connections without a buffer, with the generation they had, in the order they came.
    pub parked: VecDeque<(u32, u16)>,
    /// Slots closed since the receives were last renewed.
    pub closed: u32,
}

impl Server<'_> {
    // ANCHOR: receive
    /// Adds the next receive, unless the client has ended, or has replies to read first.
    ///
    /// With no buffer left the receive would fail, so the connection is parked until one comes
    /// back: behind those that are parked already, or it could overtake them for ever.
    pub fn receive_next(&mut self, slot: u32) -> Result<()> {
        let Connection { stage, input, output, .. } = &self.connections[slot as usize];
        let Receiving { buffers, parked, .. } = &self.receiving;
        let may = *stage == Stage::Open && output.has_room(buffers.count());
        if !may || input.receive != Receive::Idle {
            return self.end_if_done(slot);
        }
        if buffers.with_kernel() == 0 || !parked.is_empty() {
            self.park(slot);
            return Ok(());
        }
        self.add_receive(slot)
    }
    // ANCHOR_END: receive

    // ANCHOR: add_receive
    /// Not a multishot: that takes a buffer for whatever has arrived, some thirty in a row,
    /// before the program sees the first. A few clients that send and never read would have
    /// all the buffers.
    fn add_receive(&mut self, slot: u32) -> Result<()> {
        let buffers = &self.receiving.buffers;
        // After a stop signal only what has arrived is received.
        let (flags, priority) = match self.stopping.signalled {
            true => (libc::MSG_DONTWAIT, 0),
            false => (0, POLL_FIRST),
        };
        let receive = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), buffers.size())
            .flags(flags)
            .ioprio(priority)
            .buf_group(buffers.group())
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.connections[slot as usize].input.receive = Receive::Armed;
        self.push_on(slot, (Op::Recv, receive))
    }
    // ANCHOR_END: add_receive

    // ANCHOR: handle_receive
    /// Bytes, the client's end, or an error.
    pub fn handle_receive(&mut self, slot: u32, result: i32, flags: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        connection.input.receive = Receive::Idle;
        match (result, cqueue::buffer_select(flags)) {
            (1.., Some(buffer)) if connection.stage == Stage::Open => {
                // Nothing more was there to read: the request ends here.
                let whole = !cqueue::sock_nonempty(flags);
                let begun = std::mem::replace(&mut connection.input.mid_request, !whole);
                self.counts.requests += u64::from(!begun);
                self.received(slot, buffer, result as u32, whole)
            }
            (_, buffer) => {
                buffer.into_iter().for_each(|buffer| self.receiving.buffers.give_back(buffer));
                self.receive_ended(slot, result)
            }
        }
    }
    // ANCHOR_END: handle_receive

    // ANCHOR: received
    fn received(&mut self, slot: u32, buffer: u16, length: u32, whole: bool) -> Result<()> {
        self.counts.bytes_in += u64::from(length);
        self.note_progress(slot);
        if !self.talk.is_quiet() {
            let bytes = self.receiving.buffers.copy(buffer, length);
            self.report(&Event::received(slot, &bytes));
        }
        match self.receiving.conversation {
            Conversation::Echo => return self.echo(slot, buffer, length),
            Conversation::Ack => self.receiving.buffers.give_back(buffer),
        }
        if whole { self.ack(slot) } else { self.receive_next(slot) }
    }
    // ANCHOR_END: received

    fn receive_ended(&mut self, slot: u32, result: i32) -> Result<()> {
        match -result {
            _ if self.connections[slot as usize].stage != Stage::Open => self.end_if_done(slot),
            0 => self.input_ended(slot),
            libc::EAGAIN if self.stopping.signalled => self.input_ended(slot),
            libc::ENOBUFS => {
                self.counts.out_of_buffers += 1;
                self.park(slot);
                Ok(())
            }
            // Cancelled, for a renewal or by a stop signal; or interrupted.
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => self.receive_next(slot),
            errno => {
                self.report_failure(slot, errno);
                self.abort(slot)
            }
        }
    }

    /// The client sends no more. It may still read: what it asked for is answered first.
    fn input_ended(&mut self, slot: u32) -> Result<()> {
        let input = &mut self.connections[slot as usize].input;
        input.receive = Receive::Ended;
        let unanswered = std::mem::take(&mut input.mid_request);
        match self.receiving.conversation {
            Conversation::Ack if unanswered => self.ack(slot),
            _ => self.end_if_done(slot),
        }
    }

    fn park(&mut self, slot: u32) {
        self.connections[slot as usize].input.receive = Receive::Parked;
        let generation = self.token(slot, Op::Recv).generation;
        self.receiving.parked.push_back((slot, generation));
    }

    // ANCHOR: unpark
    /// Adds the receives of parked connections, as many as there are buffers. A client that is
    /// silent takes no buffer, so more may follow in the next turn.
    pub fn unpark(&mut self) -> Result<()> {
        for _ in 0..self.receiving.buffers.with_kernel() {
            let Some((slot, generation)) = self.receiving.parked.pop_front() else { break };
            let connection = &self.connections[slot as usize];
            let parked = connection.input.receive == Receive::Parked;
            if parked && connection.stage == Stage::Open && self.slots.is_current(slot, generation)
            {
                // It may have sent long ago: the wait was for a buffer, not for the client.
                self.note_progress(slot);
                self.add_receive(slot)?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: unpark

    /// Whether a connection is parked although a buffer is there.
    pub fn can_unpark(&self) -> bool {
        !self.receiving.parked.is_empty() && self.receiving.buffers.with_kernel() > 0
    }

    // ANCHOR: renew
    /// Where a close is late, cancels all armed receives now and then; each is armed again.
    ///
    /// A receive that waits for hours keeps every socket that was closed since in memory, some
    /// 4 KiB each. The more receives there are to renew, the more closes share the cost.
    pub fn renew_receives(&mut self) -> Result<()> {
        let share = self.slots.held().saturating_mul(4);
        if !self.closing.late || self.receiving.closed < share.max(RENEW_AFTER) {
            return Ok(());
        }
        self.receiving.closed = 0;
        self.cancel_receives()
    }
    // ANCHOR_END: renew

    /// Cancels the receives that are armed. Each completes, with ECANCELED or with bytes.
    pub fn cancel_receives(&mut self) -> Result<()> {
        for slot in 0..self.connections.len() as u32 {
            let input = &mut self.connections[slot as usize].input;
            if input.receive == Receive::Armed {
                input.receive = Receive::Cancelled;
                self.add_cancel(self.token(slot, Op::Recv))?;
            }
        }
        Ok(())
    }
}
