//! The accepting server: one turn submits the entries that the last one prepared, waits, and reaps.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::listener::Listener;
use common::memory::forever;
use common::queues::Queues;
use common::signals::StopSignals;
use common::slots::Slots;
use common::talk::Talk;
use common::token::{Op, Token};
use io_uring::types::{CancelBuilder, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

use self::capacity::Limits;
use crate::events::{Counts, Event};

pub mod capacity;

/// Bytes that one receive discards at most.
const DISCARD: u32 = 1 << 20;
/// The pause before the next accept after one that failed because memory or files ran out.
const REST: Duration = Duration::from_millis(100);

/// The record of a client in a slot.
#[derive(Default)]
struct Client {
    /// Clients are numbered as they come, from 1; `None` for a client that came after the limit.
    number: Option<u64>,
    /// Sent to the client; the kernel reads it until the send completes.
    greeting: String,
    /// The client has ended its side, or the server ends the connection.
    leaving: bool,
}

/// What the accept is doing.
#[derive(Clone, Copy, PartialEq)]
enum Accept {
    /// It has not begun, or has ended.
    Idle,
    /// The kernel has it.
    Armed,
    /// The kernel has it, and a cancel for it.
    Cancelled,
    /// It failed, and would fail again if it were armed at once.
    Resting { until: Instant },
}

/// The stages up to the server's end.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Clients are accepted.
    Serving,
    /// There were enough clients. Those that are in may stay.
    Finishing,
    /// A stop signal came. The clients that are in are closed.
    Stopping,
}

/// The ring, the table of clients, and what has happened so far.
pub struct Server<'ring> {
    queues: Queues<'ring>,
    listener: &'ring Listener,
    slots: Slots,
    /// Never freed: after an error the kernel may still read a greeting.
    clients: &'static mut Vec<Client>,
    accept: Accept,
    limits: Limits,
    /// No client is accepted, because all slots are taken.
    full: bool,
    /// Spare slots with a client, in the order they came.
    waiting: VecDeque<u32>,
    stage: Stage,
    /// The read of the signals is in flight.
    reading_signal: bool,
    counts: Counts,
    talk: Talk,
}

impl<'ring> Server<'ring> {
    /// A server on a ring whose table has `limits.table` slots.
    pub fn new(
        ring: &'ring mut IoUring,
        listener: &'ring Listener,
        limits: Limits,
        talk: Talk,
    ) -> Server<'ring> {
        Server {
            queues: Queues::new(ring),
            listener,
            slots: Slots::new(limits.table),
            clients: forever((0..limits.table).map(|_| Client::default()).collect()),
            accept: Accept::Idle,
            limits,
            full: false,
            waiting: VecDeque::with_capacity(limits.table as usize),
            stage: Stage::Serving,
            reading_signal: false,
            counts: Counts::default(),
            talk,
        }
    }

    // ANCHOR: turn
    /// Serves until a stop signal, or until `--max` clients have come and left.
    pub fn run(mut self, signals: &mut StopSignals) -> Result<()> {
        self.add_signal_read(signals)?;
        while !self.is_done() {
            match self.accept {
                Accept::Idle if self.has_room() => self.add_accept()?,
                Accept::Armed if !self.has_room() => self.add_accept_cancel()?,
                _ => {}
            }
            self.queues.submit_and_wait(1, self.timeout()).context("waiting for completions")?;
            while let Some(completion) = self.queues.next_completion() {
                self.handle(&completion, signals)?;
            }
            self.go_on();
        }
        self.summarise();
        Ok(())
    }
    // ANCHOR_END: turn

    // ANCHOR: handle
    /// Calls the function that handles a completion.
    fn handle(&mut self, completion: &cqueue::Entry, signals: &mut StopSignals) -> Result<()> {
        let (result, flags) = (completion.result(), completion.flags());
        let Some(Token { op, slot, generation }) = Token::unpack(completion.user_data()) else {
            return Ok(()); // not one of ours
        };
        match op {
            Op::Accept => return self.handle_accept(result, flags),
            Op::Cancel => return self.handle_cancel_error(),
            Op::Signal => return self.handle_signal(result, signals),
            _ => {}
        }
        if !self.slots.finish(slot, generation) {
            return Ok(()); // for a client that has left this slot
        }
        match op {
            Op::Discard => self.handle_discard(slot, result),
            Op::Shutdown => self.add_close(slot),
            Op::Close => self.handle_close(slot),
            // A greeting that failed does not matter: its client has gone, and the discard
            // completes too.
            _ => self.close_if_done(slot),
        }
    }
    // ANCHOR_END: handle

    // ANCHOR: accept
    /// One accept for many clients. Each one gets a slot of the kernel's choice.
    fn add_accept(&mut self) -> Result<()> {
        let accept = if self.limits.multishot {
            opcode::AcceptMulti::new(Fd(self.listener.fd())).allocate_file_index(true).build()
        } else {
            self.single_accept()
        };
        self.accept = Accept::Armed;
        self.counts.accepts_armed += 1;
        self.push(Token::of(Op::Accept), accept)
    }
    // ANCHOR_END: accept

    // ANCHOR: accepted
    /// A client, or the end of the accept. One completion may be both.
    fn handle_accept(&mut self, result: i32, flags: u32) -> Result<()> {
        if !cqueue::more(flags) {
            // Without this the next client would wait without end. A multishot can end on a success
            // too, when the completion queue is full.
            self.accept = Accept::Idle;
        }
        match u32::try_from(result) {
            Ok(slot) => self.let_in(slot),
            Err(_) => self.handle_accept_error(-result),
        }
    }
    // ANCHOR_END: accepted

    fn handle_accept_error(&mut self, errno: i32) -> Result<()> {
        let error = io::Error::from_raw_os_error(errno);
        match errno {
            // Cancelled by us, or a client that left before it was accepted.
            libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN => {}
            // A kernel that cannot do it says so at the first accept.
            libc::EINVAL if self.counts.clients == 0 => {
                return Err(error).context("accepting into a slot, which needs Linux 5.19");
            }
            libc::ENFILE if self.slots.held() == self.limits.table => {
                self.counts.lost += 1;
                self.tell(&Event::Lost);
            }
            // The system is out of memory or files, or the network is down: try again later.
            _ => {
                self.accept = Accept::Resting { until: Instant::now() + REST };
                self.tell(&Event::AcceptFailed { error: error.to_string() });
            }
        }
        Ok(())
    }

    // ANCHOR: greet
    /// Sends a client its slot and number, and starts waiting for its end.
    fn greet(&mut self, slot: u32) -> Result<()> {
        let Client { number, greeting, .. } = &mut self.clients[slot as usize];
        let client = number.context("a client without a number")?;
        greeting.clear();
        writeln!(greeting, "hello from slot {slot}, you are client {client}")?;
        let send = opcode::Send::new(Fixed(slot), greeting.as_ptr(), greeting.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.tell(&Event::Accepted { client, slot });
        self.push_on(slot, Op::Send, send)?;
        self.add_discard(slot)
    }

    /// Discards what the client sends, up to its end: for TCP, MSG_TRUNC does so without a
    /// buffer (`tcp(7)`).
    fn add_discard(&mut self, slot: u32) -> Result<()> {
        let receive = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), DISCARD);
        self.push_on(slot, Op::Discard, receive.flags(libc::MSG_TRUNC).build())
    }

    fn handle_discard(&mut self, slot: u32, result: i32) -> Result<()> {
        if result > 0 && self.stage != Stage::Stopping {
            return self.add_discard(slot); // it may send more
        }
        self.clients[slot as usize].leaving = true;
        self.close_if_done(slot)
    }
    // ANCHOR_END: greet

    // ANCHOR: close
    fn close_if_done(&mut self, slot: u32) -> Result<()> {
        if self.clients[slot as usize].leaving && self.slots.in_flight(slot) == 0 {
            return self.add_shutdown(slot);
        }
        Ok(())
    }

    /// Ends the connection; then its slot is emptied.
    ///
    /// On new kernels the close alone is enough. Up to Linux 6.12 it takes effect only when all
    /// older operations, on *any* slot, have ended. While other clients stay, that does not happen,
    /// and this client would not get its end-of-file.
    fn add_shutdown(&mut self, slot: u32) -> Result<()> {
        let shutdown = opcode::Shutdown::new(Fixed(slot), libc::SHUT_RDWR).build();
        self.push_on(slot, Op::Shutdown, shutdown)
    }

    /// The shutdown fails if the client has reset the connection, or if the kernel has no worker
    /// thread for it. The close then ends the connection.
    ///
    /// `close(2)` would take the number for a descriptor: slot 0 is not standard input.
    fn add_close(&mut self, slot: u32) -> Result<()> {
        self.push_on(slot, Op::Close, opcode::Close::new(Fixed(slot)).build())
    }

    /// A slot is free: the client that has waited longest is served.
    fn handle_close(&mut self, slot: u32) -> Result<()> {
        self.slots.release(slot);
        self.counts.closed += 1;
        if let Some(client) = self.clients[slot as usize].number {
            self.tell(&Event::Closed { client, slot });
        }
        if let Some(next) = self.waiting.pop_front() {
            return self.greet(next);
        }
        if self.stage != Stage::Serving && self.slots.held() == 0 {
            return self.add_cancel(CancelBuilder::any().all()); // the read of the signals
        }
        Ok(())
    }
    // ANCHOR_END: close

    // ANCHOR: stop
    fn add_signal_read(&mut self, signals: &mut StopSignals) -> Result<()> {
        let (record, length) = signals.record();
        let read = opcode::Read::new(Fd(signals.fd()), record, length).build();
        self.reading_signal = true;
        self.push(Token::of(Op::Signal), read)
    }

    /// Cancels everything that is in flight. Each operation completes with ECANCELED, and
    /// its slot is closed then.
    fn handle_signal(&mut self, result: i32, signals: &mut StopSignals) -> Result<()> {
        self.reading_signal = false;
        match -result {
            libc::EINTR | libc::EAGAIN => return self.add_signal_read(signals),
            libc::ECANCELED => return Ok(()), // by us, after the last client
            // After any other error the read would never bring a signal, so the server stops as
            // well.
            _ => self.tell(&Event::Stopping { signal: signals.name() }),
        }
        self.stage = Stage::Stopping;
        while let Some(slot) = self.waiting.pop_front() {
            self.add_shutdown(slot)?;
        }
        self.add_cancel(CancelBuilder::any().all())
    }

    /// No client is left, and the kernel has nothing that points at our memory.
    fn is_done(&self) -> bool {
        self.stage != Stage::Serving
            && self.slots.held() == 0
            && !matches!(self.accept, Accept::Armed | Accept::Cancelled)
            && !self.reading_signal
    }
    // ANCHOR_END: stop

    /// Cancels what is in flight. A successful cancel posts no completion; the cancelled operation
    /// does.
    fn add_cancel(&mut self, which: CancelBuilder) -> Result<()> {
        let cancel = opcode::AsyncCancel2::new(which).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(Token::of(Op::Cancel), cancel)
    }

    fn push_on(&mut self, slot: u32, op: Op, entry: squeue::Entry) -> Result<()> {
        let generation = self.slots.generation(slot).context("an operation on a free slot")?;
        self.slots.start(slot);
        self.push(Token::on(op, slot, generation), entry)
    }

    fn push(&mut self, token: Token, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(token.pack());
        // SAFETY: the only memory our entries point at is a client's greeting and the signal
        // record. Both are never freed, so they outlive what an error leaves in flight. The
        // kernel reads a greeting until its send completes; we change it only while nothing
        // is in flight on its slot. `StopSignals` gives no reference to the record itself.
        unsafe { self.queues.push(&entry) }.context("submitting a full queue")
    }

    /// How long to wait at most: until the pause after a failed accept ends, or lines must be
    /// printed.
    fn timeout(&self) -> Option<Duration> {
        let rest = match self.accept {
            Accept::Resting { until } => Some(until.saturating_duration_since(Instant::now())),
            _ => None,
        };
        [rest, self.talk.goes_on_in()].into_iter().flatten().min()
    }

    /// Ends a turn: accepts again after a pause, reports, and prints lines that are still waiting.
    fn go_on(&mut self) {
        if matches!(self.accept, Accept::Resting { until } if until <= Instant::now()) {
            self.accept = Accept::Idle;
        }
        self.tell_capacity();
        self.talk.go_on();
    }

    fn tell(&mut self, event: &Event) {
        self.talk.detail(format_args!("{event}"), event);
    }

    fn summarise(&mut self) {
        let (counts, enters) = (self.counts, self.queues.enters());
        let summary = Event::Summary { counts, enters, lines_dropped: self.talk.dropped() };
        self.talk.always(format_args!("{summary}"), &summary);
    }
}
