//! A ring at work: letting clients in, finding the client of a completion, ending connections and
//! the server.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::signals::StopSignals;
use common::slots::Slots;
use common::token::{Op, Token};
use io_uring::squeue::Flags;
use io_uring::types::{CancelBuilder, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::{Basics, Counts, Done, ENTRIES};

/// How long accepting pauses after it failed, so that it does not fail repeatedly.
const REST: Duration = Duration::from_millis(10);

/// A ring at work: its queues, its slots, and its accept.
pub struct Server<'a> {
    pub queues: Queues<'a>,
    pub slots: Slots,
    pub counts: Counts,
    listener: &'a Listener,
    signals: &'a StopSignals,
    /// Connections so far, of all rings of the process.
    taken: &'a AtomicU64,
    table: u32,
    max: Option<u64>,
    accepting: bool,
    watching: bool,
    rest: Option<Instant>,
    stopping: bool,
    cut_off: bool,
}

impl<'a> Server<'a> {
    /// Registers the table of slots.
    pub fn new(
        ring: &'a mut IoUring,
        listener: &'a Listener,
        signals: &'a StopSignals,
        taken: &'a AtomicU64,
        options: &Basics,
    ) -> Result<Server<'a>> {
        ring::register_slots(&ring.submitter(), options.slots)?;
        Ok(Server {
            queues: Queues::new(ring),
            slots: Slots::new(options.slots),
            counts: Counts { bytes_in: Some(0), ..Counts::default() },
            listener,
            signals,
            taken,
            table: options.slots,
            max: options.max,
            accepting: false,
            watching: false,
            rest: None,
            stopping: false,
            cut_off: false,
        })
    }

    /// Called before every turn. Arms what must always be armed: the accept, and the watch for a
    /// stop signal. `false` when the last client has left after a stop.
    pub fn goes_on(&mut self) -> Result<bool> {
        if self.rest.is_some_and(|end| end <= Instant::now()) {
            self.rest = None;
        }
        if !self.watching && !self.stopping {
            // Polled and not read: the signal stays there for every ring that watches.
            let watch = opcode::PollAdd::new(Fd(self.signals.fd()), libc::POLLIN as u32).build();
            self.push_plain(Op::Signal, watch)?;
            self.watching = true;
        }
        let room = self.slots.held() < self.table && self.rest.is_none();
        if !self.accepting && !self.stopping && room {
            let accept =
                opcode::AcceptMulti::new(Fd(self.listener.fd())).allocate_file_index(true).build();
            self.push_plain(Op::Accept, accept)?;
            self.accepting = true;
        }
        Ok(!self.stopping || self.accepting || self.slots.held() > 0)
    }

    /// The one call of a turn: submits what was prepared, and waits for `want` completions.
    pub fn submit_and_wait(&mut self, want: u32) -> Result<()> {
        let patience = self.patience();
        self.queues.submit_and_wait(want, patience).context("waiting")
    }

    /// How long the wait may last.
    pub fn patience(&self) -> Option<Duration> {
        self.rest.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// No more clients are accepted: there were enough, or a stop signal came.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// A stop signal came: the connected clients are cut off.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// The next completion that is about a client; the others are handled on the way.
    pub fn next(&mut self) -> Result<Option<Done>> {
        while let Some(completion) = self.queues.next_completion() {
            let Some(token) = Token::unpack(completion.user_data()) else { continue };
            let (result, flags) = (completion.result(), completion.flags());
            let done = Done { op: token.op, slot: token.slot, result, flags };
            match token.op {
                Op::Accept => {
                    if let Some(slot) = self.accepted(result, cqueue::more(flags))? {
                        return Ok(Some(Done { slot, ..done }));
                    }
                }
                Op::Signal => {
                    self.watching = false;
                    if result > 0 {
                        self.stop()?;
                    }
                }
                // Nothing waits for these two: the operations that they end complete, too.
                Op::Cancel | Op::Shutdown => {}
                Op::Discard => {
                    if self.slots.is_current(token.slot, token.generation) {
                        return Ok(Some(done));
                    }
                }
                Op::Close => {
                    if self.slots.finish(token.slot, token.generation) {
                        self.slots.release(token.slot);
                    }
                }
                _ => {
                    let current = if cqueue::more(flags) {
                        self.slots.is_current(token.slot, token.generation)
                    } else {
                        self.slots.finish(token.slot, token.generation)
                    };
                    ensure!(current, "a completion for a client who has left slot {}", token.slot);
                    // After the signal, bytes that still arrive are not a request.
                    let ignored = self.cut_off && token.op == Op::Recv;
                    let result = if ignored { result.min(0) } else { result };
                    return Ok(Some(Done { result, ..done }));
                }
            }
        }
        Ok(None)
    }

    fn accepted(&mut self, result: i32, more: bool) -> Result<Option<u32>> {
        if !more {
            self.accepting = false;
        }
        if result < 0 {
            if self.max.is_some_and(|max| self.taken.load(Ordering::Relaxed) >= max) {
                self.stopping = true; // another ring took the last one
                return Ok(None);
            }
            if result == -libc::EINVAL && self.counts.connections == 0 {
                let error = io::Error::from_raw_os_error(libc::EINVAL);
                return Err(error).context("accepting into a slot, which needs Linux 5.19");
            }
            self.rest = Some(Instant::now() + REST);
            return Ok(None);
        }
        let slot = result as u32;
        self.slots.occupy(slot);
        let number = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if self.cut_off || self.max.is_some_and(|max| number > max) {
            self.leave(slot)?; // it came while the accept was being cancelled
            return Ok(None);
        }
        if self.max == Some(number) {
            self.close_the_door()?;
        }
        self.counts.connections += 1;
        Ok(Some(slot))
    }

    /// Counts a receive that brought bytes.
    pub fn count_received(&mut self, done: Done) {
        if let Some(bytes) = &mut self.counts.bytes_in {
            *bytes += done.result as u64;
        }
        // As on day 04, a request is what has arrived when the socket runs empty.
        self.counts.requests += u64::from(!cqueue::sock_nonempty(done.flags));
    }

    /// The client's end, or an error: closes the slot, unless something is still in flight on it.
    /// Then its completion comes here too, and the last one closes.
    pub fn ended(&mut self, done: Done) -> Result<()> {
        let reset = done.result == -libc::ECONNRESET || done.result == -libc::EPIPE;
        self.counts.resets += u64::from(reset && !self.cut_off);
        match self.slots.generation(done.slot) {
            Some(generation) if done.result < 0 && self.slots.in_flight(done.slot) > 0 => {
                let receive = Token::on(Op::Recv, done.slot, generation).pack();
                let cancel = opcode::AsyncCancel2::new(CancelBuilder::user_data(receive)).build();
                self.push_plain(Op::Cancel, cancel)
            }
            _ => self.leave(done.slot),
        }
    }

    /// Closes the slot if nothing is in flight on it. A close alone would do since Linux 6.13;
    /// before, it waits for older operations of other clients, so a shutdown goes first.
    pub fn leave(&mut self, slot: u32) -> Result<()> {
        if self.slots.in_flight(slot) > 0 {
            return Ok(());
        }
        self.push_chain(slot, &farewell(slot))
    }

    fn stop(&mut self) -> Result<()> {
        self.close_the_door()?;
        self.cut_off = true;
        let occupied: Vec<u32> = self.slots.occupied().collect();
        for slot in occupied {
            // Completes whatever is in flight on the slot, now or later.
            self.push_plain(Op::Shutdown, shutdown(slot))?;
        }
        Ok(())
    }

    fn close_the_door(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.stopping, true) || !self.accepting {
            return Ok(());
        }
        let accept = CancelBuilder::user_data(Token::of(Op::Accept).pack()).all();
        self.push_plain(Op::Cancel, opcode::AsyncCancel2::new(accept).build())
    }

    /// Queues an operation on a client's slot.
    pub fn push(&mut self, slot: u32, op: Op, entry: squeue::Entry) -> Result<()> {
        self.push_chain(slot, &[(op, entry)])
    }

    /// Queues a chain for a client. It completes once, however it ends: all but its last entry
    /// skip their completion when they succeed, and when one fails, it alone completes
    /// (`IOSQE_CQE_SKIP_SUCCESS`, `io_uring_enter(2)`).
    pub fn push_chain(&mut self, slot: u32, chain: &[(Op, squeue::Entry)]) -> Result<()> {
        let generation = self.slots.generation(slot).context("an operation on a free slot")?;
        // A link ends where a submit ends, so a chain goes in whole.
        let room = self.queues.room_for(chain.len()).context("submitting a full queue")?;
        ensure!(room, "a submission queue of {ENTRIES} entries is too small for a chain");
        self.slots.start(slot);
        for (op, entry) in chain {
            self.push_entry(Token::on(*op, slot, generation), entry.clone())?;
        }
        Ok(())
    }

    fn push_plain(&mut self, op: Op, entry: squeue::Entry) -> Result<()> {
        self.push_entry(Token::of(op), entry)
    }

    /// Queues an entry that does not count as in flight on any slot.
    pub fn push_entry(&mut self, token: Token, entry: squeue::Entry) -> Result<()> {
        // SAFETY: a rung's entries point at static bytes, or at buffers that are never freed
        // (`forever`, `Buffers`). No rung reads or changes a buffer while an operation on it is
        // in flight. The scaffold's own entries point at no memory.
        unsafe { self.queues.push(&entry.user_data(token.pack())) }
            .context("submitting a full queue")
    }

    /// What happened on this ring.
    pub fn counts(&self) -> Counts {
        Counts { enters: self.queues.enters(), ..self.counts }
    }
}

/// Our end, then the slot's. Hard-linked: the close runs even if the shutdown fails, as it
/// does when the client has reset the connection.
pub fn farewell(slot: u32) -> [(Op, squeue::Entry); 2] {
    let close = opcode::Close::new(Fixed(slot)).build();
    [(Op::Shutdown, shutdown(slot).flags(Flags::IO_HARDLINK)), (Op::Close, close)]
}

fn shutdown(slot: u32) -> squeue::Entry {
    opcode::Shutdown::new(Fixed(slot), libc::SHUT_RDWR).build().flags(Flags::SKIP_SUCCESS)
}
