//! Every byte back, in order, straight from the buffers they came in.

use anyhow::Result;
use common::token::Op;
use io_uring::opcode;
use io_uring::types::Fixed;

use crate::Reply;
use crate::connection::Stage;
use crate::server::Server;

/// A client that does not read may hold one of so many parts of the buffers, or one buffer if
/// there are few. It takes as many such clients to keep the others from being served.
const SHARES: u16 = 64;
/// From `linux/io_uring.h`; since Linux 6.6.
const SOCKET_URING_OP_SIOCOUTQ: u32 = 1;

impl Server<'_> {
    // ANCHOR: reply
    /// Queues a filled buffer as the client's next reply. The buffer stays ours until it is
    /// sent, so a client that does not read holds a few buffers and no more.
    pub fn reply_with(&mut self, slot: u32, buffer: u16, length: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        self.chains.push(&mut connection.replies, buffer, length);
        let sending = connection.sending;
        self.receive_if_room(slot)?;
        if sending { Ok(()) } else { self.send_next(slot) }
    }

    /// Sends the oldest reply, or what is left of it. One send at a time: several could
    /// overtake each other.
    fn send_next(&mut self, slot: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        let Some((buffer, length)) = self.chains.first(&connection.replies) else {
            self.stalled.remove(slot);
            return self.settle(slot);
        };
        connection.sending = true;
        connection.unread = None;
        self.stalled.touch(slot, self.now);
        let rest = self.buffers.address(buffer).wrapping_add(connection.sent as usize);
        let send = opcode::Send::new(Fixed(slot), rest, length - connection.sent)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.replying.push(slot);
        self.push_on(slot, Op::Send, send)
    }

    /// How many sends of this turn bring nothing but their buffer when they end: the next
    /// receive is armed already, no other reply is queued, and no connection is parked for
    /// want of a buffer. Asked when the turn is over, for the completion after the one that
    /// started a send can be of a client that waits for its end.
    pub fn sends_without_hurry(&mut self) -> u32 {
        let nobody_waits = |slot: &u32| {
            let connection = &self.connections[*slot as usize];
            let receives = connection.receiving && !connection.cancelling;
            receives && connection.stage == Stage::Open && connection.replies.len() == 1
        };
        let count = if self.parked.is_empty() {
            self.replying.iter().filter(|slot| nobody_waits(slot)).count()
        } else {
            0
        };
        self.replying.clear();
        count as u32
    }
    // ANCHOR_END: reply

    // ANCHOR: sent
    /// A send ended: whole, short, or with an error.
    pub fn sent(&mut self, slot: u32, result: i32) -> Result<()> {
        if self.reply == Reply::Ack {
            return self.answer_sent(slot, result);
        }
        let connection = &mut self.connections[slot as usize];
        connection.sending = false;
        if result < 0 && result != -libc::EINTR {
            if connection.stage == Stage::Open {
                self.say_failed(slot, -result);
            }
            return self.end(slot);
        }
        self.idle.touch(slot, self.now);
        self.counts.bytes_out += result.max(0) as u64;
        connection.sent += result.max(0) as u32;
        let whole = self.chains.first(&connection.replies).map_or(0, |(_, length)| length);
        if connection.sent >= whole {
            connection.sent = 0;
            if let Some(buffer) = self.chains.pop(&mut connection.replies) {
                self.buffers.give_back(buffer);
            }
        }
        if connection.stage != Stage::Open {
            return self.settle(slot);
        }
        self.receive_if_room(slot)?;
        self.send_next(slot)
    }
    // ANCHOR_END: sent

    /// Arms the receive again, if it is not armed and the client may queue more.
    pub fn receive_if_room(&mut self, slot: u32) -> Result<()> {
        let connection = &self.connections[slot as usize];
        let idle = !connection.receiving && !connection.parked && !connection.end_of_input;
        if idle && connection.stage == Stage::Open && self.has_room(slot) {
            return self.receive(slot);
        }
        self.settle(slot)
    }

    /// Whether the client may queue one more reply.
    fn has_room(&self, slot: u32) -> bool {
        let share = (self.buffers.count() / SHARES).max(1);
        self.connections[slot as usize].replies.len() < share
    }

    // ANCHOR: unread
    /// Asks how many bytes of its replies the client has not taken yet (SIOCOUTQ, `tcp(7)`).
    /// A send completes when the *socket* has its bytes, which can be megabytes later.
    pub fn ask_unread(&mut self, slot: u32) -> Result<()> {
        let ask = opcode::UringCmd16::new(Fixed(slot), SOCKET_URING_OP_SIOCOUTQ).build();
        self.push_prompt(slot, Op::Unread, ask)
    }

    /// The answer. Another number than last time is progress: the client reads, though it may
    /// be slow. (A kernel that cannot answer gives the same error each time. There, only a
    /// send that completes is progress.)
    pub fn told_unread(&mut self, slot: u32, unread: i32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        if connection.stage != Stage::Open || !connection.sending {
            return self.settle(slot);
        }
        match connection.unread.replace(unread) {
            None => {}
            Some(before) if before != unread => self.idle.touch(slot, self.now),
            Some(_) if self.buffers_are_scarce() => return self.time_out(slot),
            Some(_) => {}
        }
        self.stalled.touch(slot, self.now);
        Ok(())
    }
    // ANCHOR_END: unread

    /// Gives back the replies that nobody will read, except the one being sent.
    pub fn drop_replies(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if connection.sending {
            return; // its completion comes back here
        }
        while let Some(buffer) = self.chains.pop(&mut connection.replies) {
            self.buffers.give_back(buffer);
        }
    }
}
