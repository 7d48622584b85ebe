//! Sending, one reply at a time: the journal's four bytes, or every byte back.

use std::collections::VecDeque;

use anyhow::Result;
use common::token::Op;
use io_uring::opcode;
use io_uring::types::Fixed;

use crate::connection::{Connection, Stage};
use crate::groups::{Filled, MAX_SHARE};
use crate::server::{Link, Server};

const ACK: &[u8; 4] = b"ack\0";

/// What goes to a client.
#[derive(Debug)]
pub struct Output {
    /// Replies that are not sent completely, oldest first. The first one is being sent.
    pub replies: VecDeque<Reply>,
    /// Bytes of the oldest that are sent.
    sent: u32,
    /// A send is in flight. There is never a second one: it might overtake the first.
    sending: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Reply {
    Ack,
    Echo(Filled),
}

impl Reply {
    fn length(self) -> u32 {
        match self {
            Reply::Ack => ACK.len() as u32,
            Reply::Echo(filled) => filled.length,
        }
    }
}

impl Output {
    pub fn new() -> Output {
        Output { replies: VecDeque::with_capacity(MAX_SHARE), sent: 0, sending: false }
    }
}

impl Server<'_> {
    // ANCHOR: ack
    /// Sends the ack, ends our side, and waits for the client's end, as one chain.
    pub fn ack(&mut self, slot: u32) -> Result<()> {
        self.connections[slot as usize].output.replies.push_back(Reply::Ack);
        let send = self.send_entry(slot);
        self.finish(slot, Some(send))
    }
    // ANCHOR_END: ack

    // ANCHOR: echo
    /// Queues a filled buffer as the client's next reply.
    pub fn echo(&mut self, slot: u32, filled: Filled) -> Result<()> {
        let output = &mut self.connections[slot as usize].output;
        output.replies.push_back(Reply::Echo(filled));
        self.receive_next(slot)?;
        self.send_next(slot)
    }
    // ANCHOR_END: echo

    // ANCHOR: send_next
    /// Sends the oldest reply, or what is left of it, if no send is in flight.
    fn send_next(&mut self, slot: u32) -> Result<()> {
        let connection = &self.connections[slot as usize];
        if connection.output.sending {
            return Ok(());
        }
        if connection.output.replies.is_empty() {
            return self.end_if_done(slot);
        }
        if connection.output.replies.len() == 1 && connection.input.is_armed() {
            self.soon += 1; // a client that reads: its next message brings something to do
        }
        let send = self.send_entry(slot);
        self.push_on(slot, send)
    }
    // ANCHOR_END: send_next

    // ANCHOR: send_entry
    /// The entry that sends the oldest reply, or what is left of it.
    fn send_entry(&mut self, slot: u32) -> Link {
        let output = &mut self.connections[slot as usize].output;
        output.sending = true;
        let reply = output.replies[0];
        let (bytes, flags) = match reply {
            // With WAITALL a short send is a failure, and breaks the chain that it is in.
            Reply::Ack => (ACK.as_ptr(), libc::MSG_WAITALL),
            // Without it a short send completes, and so shows that a slow client reads.
            Reply::Echo(filled) => (self.receiving.groups.address(filled), 0),
        };
        let rest = bytes.wrapping_add(output.sent as usize);
        let send = opcode::Send::new(Fixed(slot), rest, reply.length() - output.sent);
        (Op::Send, send.flags(flags).build())
    }
    // ANCHOR_END: send_entry

    // ANCHOR: handle_send
    /// A send ended: whole, short, or with an error.
    pub fn handle_send(&mut self, slot: u32, result: i32) -> Result<()> {
        self.connections[slot as usize].output.sending = false;
        self.sent(slot, result.max(0) as u32);
        let Connection { stage, output, .. } = &self.connections[slot as usize];
        let interrupted = result == -libc::EINTR || result == -libc::EAGAIN;
        match stage {
            Stage::Aborting => self.end_if_done(slot),
            _ if result < 0 && !interrupted => {
                self.report_failure(slot, -result);
                self.abort(slot)
            }
            // The ack is sent, but the chain behind it did not start: a short send has broken
            // it, or the queue is too small for it.
            Stage::Finishing if output.replies.is_empty() => self.finish(slot, None),
            _ => {
                self.receive_next(slot)?;
                self.send_next(slot)
            }
        }
    }
    // ANCHOR_END: handle_send

    // ANCHOR: sent
    /// So many bytes of the oldest reply are sent. After the last its buffer goes back.
    fn sent(&mut self, slot: u32, bytes: u32) {
        self.counts.bytes_out += u64::from(bytes);
        self.note_progress(slot);
        let output = &mut self.connections[slot as usize].output;
        output.sent += bytes;
        if output.replies.front().is_some_and(|reply| reply.length() == output.sent) {
            output.sent = 0;
            if let Some(Reply::Echo(filled)) = output.replies.pop_front() {
                self.receiving.groups.give_back(filled);
            }
        }
    }
    // ANCHOR_END: sent

    /// A later link of the ack's chain has completed: the ack is sent, all of it, although its
    /// send completes only when it fails.
    pub fn ack_is_sent(&mut self, slot: u32) {
        let output = &mut self.connections[slot as usize].output;
        if std::mem::take(&mut output.sending) {
            let rest = output.replies[0].length() - output.sent;
            self.sent(slot, rest);
        }
    }

    /// Gives back the buffers of replies that the client will not read. Nothing may be in flight.
    pub fn drop_replies(&mut self, slot: u32) {
        let output = &mut self.connections[slot as usize].output;
        output.sent = 0;
        for reply in output.replies.drain(..) {
            if let Reply::Echo(filled) = reply {
                self.receiving.groups.give_back(filled);
            }
        }
    }
}
