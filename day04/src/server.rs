//! The loop: what a turn does, and which function takes each completion.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::queues::Queues;
use common::slots::Slots;
use common::talk::Talk;
use common::token::{Op, Token};
use io_uring::types::CancelBuilder;
use io_uring::{cqueue, opcode, squeue};

use crate::accept::Accepting;
use crate::close::Closing;
use crate::connection::Connection;
use crate::events::{Counts, Event};
use crate::parking::Parking;
use crate::receive::Receiving;
use crate::stop::Stopping;
use crate::timeouts::Timeouts;

/// An operation on a client's slot, and its entry: a link of a chain, or alone.
pub type Link = (Op, squeue::Entry);

/// How long a turn waits for one completion more than those that come by themselves.
const PATIENCE: Duration = Duration::from_millis(5);
/// Completions that a wait asks for at most. With more, a turn saves no more calls, and its memory
/// no longer fits the caches of the processor and of the kernel.
const TURN: u32 = 64;

/// Everything that the loop remembers between two turns. Nothing in it grows once the server
/// runs. Only the file of its type writes to a field below the line.
pub struct Server<'ring> {
    pub queues: Queues<'ring>,
    /// Which client has which slot, and what is in flight there.
    pub slots: Slots,
    pub connections: Vec<Connection>,
    /// When the last wait ended.
    pub now: Instant,
    /// Entries of this turn that complete by themselves, and soon.
    pub soon: u32,
    pub counts: Counts,
    pub talk: Talk,
    // ---
    pub accepting: Accepting,
    pub receiving: Receiving,
    pub parking: Parking,
    pub closing: Closing,
    pub timeouts: Timeouts,
    pub stopping: Stopping,
}

impl Server<'_> {
    // ANCHOR: loop
    /// Runs turn after turn, until all clients have left after a stop signal or `--max`.
    pub fn run(mut self) -> Result<()> {
        self.add_signal_read()?;
        while !self.is_done() {
            self.add_accept()?;
            self.unpark()?;
            self.renew_receives()?;
            self.submit_and_wait()?;
            while let Some(completion) = self.queues.next_completion() {
                self.handle(&completion)?;
            }
            self.abort_overdue()?;
        }
        let summary =
            self.counts.summary(self.queues.enters() + self.closing.enters, self.talk.dropped());
        self.talk.always(format_args!("{summary}"), &summary);
        Ok(())
    }
    // ANCHOR_END: loop

    // ANCHOR: wait
    /// The one system call of a turn.
    ///
    /// Some entries complete while they are being submitted, or right after: a reply to a
    /// client that reads, the closing of a slot. A wait for one completion would return with
    /// those, and nothing new to do. So it asks for one *more*, and takes what is there if
    /// that one does not come within some milliseconds.
    fn submit_and_wait(&mut self) -> Result<()> {
        let soon = std::mem::take(&mut self.soon);
        let (want, patience) = match soon {
            // Buffers have come back to parked clients: fetch what is there, and go on.
            _ if self.can_unpark() => (1, Some(Duration::ZERO)),
            0 => (1, None),
            _ => ((1 + soon).min(TURN), Some(PATIENCE)),
        };
        let timeout = [self.until_deadline(), patience].into_iter().flatten().min();
        self.queues.submit_and_wait(want, timeout).context("waiting for completions")?;
        self.now = Instant::now();
        Ok(())
    }
    // ANCHOR_END: wait

    /// Calls the function for one completion.
    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let (result, flags) = (completion.result(), completion.flags());
        let Some(Token { op, slot, generation }) = Token::unpack(completion.user_data()) else {
            return Ok(()); // not one of ours
        };
        match op {
            Op::Accept => return self.handle_accept(result, flags),
            Op::Signal => return self.handle_signal(result),
            Op::Cancel => return Ok(()), // it failed: its operation had ended
            _ => {}
        }
        // ANCHOR: generation
        let filled = self.receiving.groups.take(op, result, flags);
        // The slot may have a new client by now, which an old completion must not touch. Its
        // buffer still goes back.
        let current = match cqueue::more(flags) {
            true => self.slots.is_current(slot, generation),
            false => self.slots.finish(slot, generation),
        };
        if !current {
            filled.into_iter().for_each(|filled| self.receiving.groups.give_back(filled));
            return Ok(());
        }
        // ANCHOR_END: generation
        match op {
            Op::Recv | Op::RecvMulti => self.handle_receive(slot, result, flags, filled),
            Op::Send => self.handle_send(slot, result),
            Op::Discard => self.handle_discard(slot, result),
            Op::Shutdown => self.handle_shutdown(slot, result),
            Op::Close => self.handle_close(slot, result),
            _ => Ok(()), // above
        }
    }

    /// Adds an entry for the client in `slot` to the submission queue.
    pub fn push_on(&mut self, slot: u32, (op, entry): Link) -> Result<()> {
        self.slots.start(slot);
        self.push(self.token(slot, op), entry)
    }

    // ANCHOR: chain
    /// Adds a chain: each entry starts when the one before has succeeded. Only one of them
    /// completes, the one that fails or the last.
    ///
    /// A chain ends where a submit ends, so it goes in whole. A queue that is too small for it
    /// takes the first entry alone, whose completion adds the next.
    pub fn push_chain(&mut self, slot: u32, chain: [Option<Link>; 3]) -> Result<()> {
        let length = chain.iter().flatten().count();
        let whole = self.queues.room_for(length).context("submitting a full queue")?;
        self.slots.start(slot);
        for (nth, (op, entry)) in (1..).zip(chain.into_iter().flatten()) {
            let linked = whole && nth < length;
            let flags = squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS;
            self.push(self.token(slot, op), if linked { entry.flags(flags) } else { entry })?;
            if !whole {
                break;
            }
        }
        Ok(())
    }
    // ANCHOR_END: chain

    /// Cancels every operation with this token. Each of them completes, so the cancel itself
    /// does only if it fails.
    pub fn add_cancel(&mut self, token: Token) -> Result<()> {
        let which = CancelBuilder::user_data(token.pack()).all();
        let cancel = opcode::AsyncCancel2::new(which).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(Token::of(Op::Cancel), cancel)
    }

    /// Adds an entry to the submission queue; the comment inside says who owns its memory.
    pub fn push(&mut self, token: Token, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(token.pack());
        // SAFETY: a receive points at no memory of its own: the kernel takes one of `groups`.
        // A send points at static bytes, or at one of `groups` that is ours and is given back
        // when the send has completed. A signal is read into the record of `StopSignals`.
        // Neither record nor buffers are ever freed.
        unsafe { self.queues.push(&entry) }.context("submitting a full queue")
    }

    /// Prints an event, except with `--quiet`.
    pub fn report(&mut self, event: &Event) {
        self.talk.detail(format_args!("{event}"), event);
    }

    /// The token of an operation of the client in `slot`.
    pub fn token(&self, slot: u32, op: Op) -> Token {
        Token::on(op, slot, self.slots.generation(slot).expect("a slot with a client"))
    }
}
