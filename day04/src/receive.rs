//! Receiving into buffers that the kernel picks when bytes have come.

use anyhow::Result;
use common::token::Op;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};

use crate::Conversation;
use crate::connection::{Connection, Stage};
use crate::events::Event;
use crate::groups::{Filled, Groups};
use crate::server::Server;

/// `IORING_RECVSEND_POLL_FIRST`: wait for bytes without looking for them first. Since Linux
/// 5.19; `io_uring_enter(2)`, `IORING_OP_RECV`.
const POLL_FIRST: u16 = 1;
/// Closed slots after which the receives are renewed, at the earliest.
const RENEW_AFTER: u32 = 1024;

/// What comes from a client.
#[derive(Debug, Default)]
pub struct Input {
    pub receive: Receive,
    /// Part of a request has come, and its end has not.
    mid_request: bool,
    /// The last request came in one buffer, and no reply was on its way.
    keeps_up: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receive {
    /// No receive is armed.
    #[default]
    Idle,
    Single,
    Multishot,
    /// One is armed, and is being cancelled.
    Cancelled,
    /// No receive is armed: the connection waits for a buffer.
    Parked,
    /// The client sends no more.
    Ended,
}

impl Input {
    /// A receive is armed for what comes next. A multishot that has left bytes in the socket
    /// may have ended already, because no buffer was left: its last completion is on its way.
    pub fn is_armed(&self) -> bool {
        match self.receive {
            Receive::Single => true,
            Receive::Multishot => !self.mid_request,
            _ => false,
        }
    }
}

/// The buffers that the clients share, and the connections that wait for one.
pub struct Receiving {
    pub groups: Groups,
    pub conversation: Conversation,
    /// Slots closed since the receives were last renewed.
    pub closed: u32,
}

impl Server<'_> {
    // ANCHOR: receive
    /// Adds the next receive, unless one is armed, the client has ended, or it has replies to
    /// read first. A multishot whose client leaves more than its share unread is cancelled.
    ///
    /// With no buffer left the receive would fail, so the connection is parked until a buffer comes
    /// back: behind those that are parked already, or it could overtake them again and again.
    pub fn receive_next(&mut self, slot: u32) -> Result<()> {
        let Connection { stage, input, output, .. } = &self.connections[slot as usize];
        let groups = &self.receiving.groups;
        match input.receive {
            Receive::Multishot if output.replies.len() > groups.share() => {
                self.cancel_receive(slot)
            }
            Receive::Idle if *stage == Stage::Open && output.replies.len() < groups.share() => {
                if input.keeps_up && groups.allow_multishot() && !self.stopping.signalled() {
                    self.add_multishot(slot)
                } else if groups.single.with_kernel() == 0 || !self.parking.queue.is_empty() {
                    self.park(slot);
                    Ok(())
                } else {
                    self.add_receive(slot)
                }
            }
            _ => self.end_if_done(slot),
        }
    }
    // ANCHOR_END: receive

    // ANCHOR: add_receive
    /// One entry, one buffer: the client gets no second one before the program has seen this.
    pub fn add_receive(&mut self, slot: u32) -> Result<()> {
        let buffers = &self.receiving.groups.single;
        // After a stop signal only what has arrived is received.
        let (flags, priority) = match self.stopping.signalled() {
            true => (libc::MSG_DONTWAIT, 0),
            false => (0, POLL_FIRST),
        };
        let receive = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), buffers.size())
            .flags(flags)
            .ioprio(priority)
            .buf_group(buffers.group())
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.connections[slot as usize].input.receive = Receive::Single;
        self.push_on(slot, (Op::Recv, receive))
    }

    /// One entry, and a buffer for whatever comes, some thirty in a row.
    fn add_multishot(&mut self, slot: u32) -> Result<()> {
        let group = self.receiving.groups.multishot.group();
        let receive = opcode::RecvMulti::new(Fixed(slot), group).build();
        self.connections[slot as usize].input.receive = Receive::Multishot;
        self.push_on(slot, (Op::RecvMulti, receive))
    }
    // ANCHOR_END: add_receive

    // ANCHOR: handle_receive
    /// Bytes, the client's end, or an error.
    pub fn handle_receive(
        &mut self,
        slot: u32,
        result: i32,
        flags: u32,
        filled: Option<Filled>,
    ) -> Result<()> {
        let Connection { stage, input, output, .. } = &mut self.connections[slot as usize];
        if !cqueue::more(flags) {
            input.receive = Receive::Idle;
        }
        match filled {
            Some(filled) if filled.length > 0 && *stage == Stage::Open => {
                // Nothing more was there to read: the request ends here.
                let whole = !cqueue::sock_nonempty(flags);
                let begun = std::mem::replace(&mut input.mid_request, !whole);
                input.keeps_up = whole && !begun && output.replies.is_empty();
                self.counts.requests += u64::from(!begun);
                self.received(slot, filled, whole)
            }
            filled => {
                filled.into_iter().for_each(|filled| self.receiving.groups.give_back(filled));
                self.receive_ended(slot, result)
            }
        }
    }
    // ANCHOR_END: handle_receive

    fn received(&mut self, slot: u32, filled: Filled, whole: bool) -> Result<()> {
        self.counts.bytes_in += u64::from(filled.length);
        self.note_progress(slot);
        if !self.talk.is_quiet() {
            let bytes = self.receiving.groups.copy(filled);
            self.report(&Event::received(slot, &bytes));
        }
        match self.receiving.conversation {
            Conversation::Echo => return self.echo(slot, filled),
            Conversation::Ack => self.receiving.groups.give_back(filled),
        }
        if whole { self.ack(slot) } else { self.receive_next(slot) }
    }

    fn receive_ended(&mut self, slot: u32, result: i32) -> Result<()> {
        match -result {
            _ if self.connections[slot as usize].stage != Stage::Open => self.end_if_done(slot),
            0 => self.input_ended(slot),
            libc::EAGAIN if self.stopping.signalled() => self.input_ended(slot),
            // Linux 5.19 has no multishot receives.
            libc::EINVAL if !self.receiving.groups.refused => {
                self.receiving.groups.refused = true;
                self.receive_next(slot)
            }
            // Its group was empty; or it was cancelled or interrupted.
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => self.receive_next(slot),
            errno => {
                self.report_failure(slot, errno);
                self.abort(slot)
            }
        }
    }

    /// The client sends no more. It may still read: its requests are answered first.
    fn input_ended(&mut self, slot: u32) -> Result<()> {
        let input = &mut self.connections[slot as usize].input;
        input.receive = Receive::Ended;
        let unanswered = std::mem::take(&mut input.mid_request);
        match self.receiving.conversation {
            Conversation::Ack if unanswered => self.ack(slot),
            _ => self.end_if_done(slot),
        }
    }

    // ANCHOR: renew
    /// Cancels all armed receives now and then, on kernels where a close is late; each is armed again.
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
        (0..self.connections.len() as u32).try_for_each(|slot| self.cancel_receive(slot))
    }

    fn cancel_receive(&mut self, slot: u32) -> Result<()> {
        let receive = &mut self.connections[slot as usize].input.receive;
        let op = match receive {
            Receive::Single => Op::Recv,
            Receive::Multishot => Op::RecvMulti,
            _ => return Ok(()),
        };
        *receive = Receive::Cancelled;
        self.add_cancel(self.token(slot, op))
    }
}
