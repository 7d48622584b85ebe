//! Receiving into buffers that the kernel picks when data has come.

use std::io;

use anyhow::Result;
use common::token::{Op, Token};
use io_uring::types::{CancelBuilder, Fixed};
use io_uring::{cqueue, opcode, squeue};
use serde_json::json;

use crate::Reply;
use crate::connection::Stage;
use crate::server::{NO_SLOT, Server};

/// Closed slots after which the receives are renewed, at the earliest.
const RENEW_AFTER: u32 = 1024;
/// `IORING_RECVSEND_POLL_FIRST`: waits for bytes without looking for them first, which would
/// be in vain. Since Linux 5.19; `io_uring_enter(2)`, `IORING_OP_RECV`.
const POLL_FIRST: u16 = 1;

impl Server<'_> {
    // ANCHOR: receive
    /// Arms a receive.
    ///
    /// With no buffer left the receive would fail at once, so the connection is parked until
    /// one comes back; behind those that are parked already, or it could outrun them for ever.
    pub fn receive(&mut self, slot: u32) -> Result<()> {
        if self.buffers.with_kernel() == 0 || !self.parked.is_empty() {
            self.park(slot);
            return Ok(());
        }
        self.arm_receive(slot)
    }

    /// It takes one buffer, once. (A multishot receive takes up to 32 before we see the first:
    /// eight clients that send and never read would have all of them.)
    fn arm_receive(&mut self, slot: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        connection.receiving = true;
        let (flags, ioprio) = if self.cut_off {
            (libc::MSG_DONTWAIT, 0) // after a stop signal nothing is waited for
        } else if connection.mid_request {
            (0, 0)
        } else {
            (0, POLL_FIRST) // as far as we know, there is nothing to receive yet
        };
        let recv = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), self.buffers.size())
            .flags(flags)
            .ioprio(ioprio)
            .buf_group(self.buffers.group())
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push_on(slot, Op::Recv, recv)
    }
    // ANCHOR_END: receive

    // ANCHOR: received
    /// Bytes, the client's end, or an error.
    pub fn received(&mut self, slot: u32, result: i32, flags: u32) -> Result<()> {
        let buffer = cqueue::buffer_select(flags);
        if let Some(buffer) = buffer {
            self.buffers.take(buffer);
        }
        let connection = &mut self.connections[slot as usize];
        connection.receiving = false;
        match (result, buffer) {
            (1.., Some(buffer)) if connection.stage == Stage::Open => {
                self.idle.touch(slot, self.now);
                self.counts.bytes_in += result as u64;
                self.print(slot, buffer, result as u32);
                let ends = !cqueue::sock_nonempty(flags);
                self.connections[slot as usize].mid_request = !ends;
                self.counts.requests += u64::from(ends);
                match self.reply {
                    Reply::Ack => {
                        self.buffers.give_back(buffer);
                        if ends { self.answer(slot) } else { self.receive(slot) }
                    }
                    Reply::Echo => self.reply_with(slot, buffer, result as u32),
                }
            }
            (_, buffer) => {
                if let Some(buffer) = buffer {
                    self.buffers.give_back(buffer);
                }
                self.receive_ended(slot, result)
            }
        }
    }
    // ANCHOR_END: received

    fn receive_ended(&mut self, slot: u32, result: i32) -> Result<()> {
        let open = self.connections[slot as usize].stage == Stage::Open;
        match -result {
            _ if !open => self.settle(slot),
            0 => self.input_ended(slot),
            libc::ENOBUFS => {
                self.counts.out_of_buffers += 1;
                self.park(slot);
                Ok(())
            }
            libc::EAGAIN if self.cut_off => self.input_ended(slot),
            // Cancelled, to be renewed or because a stop signal came; or interrupted.
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => self.receive_if_room(slot),
            errno => {
                self.say_failed(slot, errno);
                self.end(slot)
            }
        }
    }

    /// The client sends no more. It may still read: what it asked for is answered first.
    pub fn input_ended(&mut self, slot: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        connection.end_of_input = true;
        let unanswered = std::mem::take(&mut connection.mid_request);
        self.counts.requests += u64::from(unanswered);
        match self.reply {
            Reply::Ack if unanswered => self.answer(slot),
            _ => self.settle(slot),
        }
    }

    // ANCHOR: park
    fn park(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if std::mem::replace(&mut connection.parked, true) {
            return;
        }
        if let Some(generation) = self.slots.generation(slot) {
            self.parked.push_back((slot, generation));
        }
    }

    /// Arms the receives of parked connections, as many as there are buffers. One whose
    /// client is silent takes none, so more may follow in the next turn.
    pub fn unpark(&mut self) -> Result<()> {
        for _ in 0..self.buffers.with_kernel() {
            let Some((slot, generation)) = self.parked.pop_front() else { break };
            if !self.slots.is_current(slot, generation) {
                continue;
            }
            let connection = &mut self.connections[slot as usize];
            connection.parked = false;
            if connection.stage == Stage::Open && !connection.end_of_input {
                // It may have sent long ago: the wait was for a buffer, not for the client.
                self.idle.touch(slot, self.now);
                self.arm_receive(slot)?;
            }
        }
        Ok(())
    }

    /// Whether a connection is parked although a buffer is there.
    pub fn can_unpark(&self) -> bool {
        !self.parked.is_empty() && self.buffers.with_kernel() > 0
    }
    // ANCHOR_END: park

    // ANCHOR: renew
    /// Now and then, cancels every armed receive, so that each is armed anew.
    ///
    /// Up to Linux 6.12 an operation on a slot holds back the release of every file that
    /// leaves the table after it began. One receive that waits for hours would keep all the
    /// sockets that were closed meanwhile in memory, some 4 KiB each. The more receives there
    /// are to renew, the more closes share the cost.
    pub fn renew_receives(&mut self) -> Result<()> {
        let share = self.slots.held().saturating_mul(4);
        if self.closed_since_renewal < share.max(RENEW_AFTER) {
            return Ok(());
        }
        self.closed_since_renewal = 0;
        for slot in 0..self.limits.table {
            if self.slots.generation(slot).is_some() {
                self.cancel_receive(slot)?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: renew

    /// Stops a receive that is armed; its completion says when it has stopped.
    pub fn cancel_receive(&mut self, slot: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        if !connection.receiving || std::mem::replace(&mut connection.cancelling, true) {
            return Ok(());
        }
        self.cancel(slot, Op::Recv)
    }

    /// Stops an operation that waits for the client. If it has ended meanwhile, the cancel
    /// finds nothing (ENOENT), and that is as good.
    pub fn cancel(&mut self, slot: u32, op: Op) -> Result<()> {
        let Some(generation) = self.slots.generation(slot) else { return Ok(()) };
        let which = CancelBuilder::user_data(Token::on(op, slot, generation).pack());
        self.push_prompt(slot, Op::Cancel, opcode::AsyncCancel2::new(which).build())
    }

    pub fn cancelled(&mut self, slot: u32) -> Result<()> {
        debug_assert_ne!(slot, NO_SLOT);
        self.connections[slot as usize].cancelling = false;
        self.settle(slot)
    }

    pub fn say_failed(&mut self, slot: u32, errno: i32) {
        if errno == libc::ECONNRESET || errno == libc::EPIPE {
            self.counts.resets += 1;
        }
        let error = io::Error::from_raw_os_error(errno);
        self.talk.detail(
            format_args!("slot {slot}: {error}"),
            json!({"event": "failed", "slot": slot, "error": error.to_string()}),
        );
    }

    /// Prints what came, as text where it is text, everything else escaped.
    fn print(&mut self, slot: u32, buffer: u16, length: u32) {
        if self.talk.is_quiet() {
            return;
        }
        let text = printable(&self.buffers.copy(buffer, length));
        self.talk.detail(
            format_args!("slot {slot}: {length} bytes: {text}"),
            json!({"event": "received", "slot": slot, "bytes": length, "text": text}),
        );
    }
}

/// Bytes as one line of text: what is neither text nor a space is escaped.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '"' => text.push(character),
                _ => text.extend(character.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn requests_are_bytes_and_print_as_one_line() {
        assert_eq!(printable(b"hello"), "hello");
        assert_eq!(printable("h\u{e9}llo \u{1f980}".as_bytes()), "h\u{e9}llo \u{1f980}");
        assert_eq!(printable("\u{202e}abc".as_bytes()), r"\u{202e}abc");
        assert_eq!(printable(b"'a\r\nb\x00\x1b[2J\xff\\"), r"'a\r\nb\0\u{1b}[2J\xff\\");
    }
}
