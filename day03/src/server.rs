//! The accepting server: one turn submits what the last one led to, waits, and reaps.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io;

use anyhow::{Context, Result};
use common::listener::Listener;
use common::memory::forever;
use common::queues::Queues;
use common::signals::StopSignals;
use common::slots::{Admission, Slots, Step, Way};
use common::talk::Talk;
use common::text::several;
use common::token::{Op, Token};
use io_uring::types::{CancelBuilder, DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};
use serde_json::json;

/// Bytes that one receive throws away at most.
const DISCARD: u32 = 1 << 20;

/// Closed slots after which the discards of those who stay are renewed, at the earliest.
const RENEW_AFTER: u64 = 1024;

/// What we know of the client in a slot.
#[derive(Default)]
struct Client {
    number: u64,
    /// Sent to the client; the kernel reads it until the send completes.
    greeting: String,
    /// The client ended, or must go.
    leaving: bool,
    /// Our side of the connection is shut down.
    shut: bool,
}

/// The ring, the table of clients, and what has happened so far.
pub struct Server<'ring> {
    queues: Queues<'ring>,
    listener: &'ring Listener,
    admission: Admission,
    slots: Slots,
    /// Never freed: after an error the kernel may still read a greeting.
    clients: &'static mut Vec<Client>,
    /// Slots beyond the capacity, in the order their clients came.
    waiting: VecDeque<u32>,
    capacity: u32,
    talk: Talk,
    counts: Counts,
    max: Option<u64>,
    /// How many slots are closed when it is time to renew the discards.
    renew_at: u64,
    /// No more clients are let in: there were enough, or a stop signal came.
    stopping: bool,
    /// A stop signal came: those who are in must go.
    cut_off: bool,
    /// The read of the signals is in flight.
    reading_signal: bool,
}

#[derive(Default)]
struct Counts {
    clients: u64,
    accepts_armed: u64,
    closed: u64,
}

impl<'ring> Server<'ring> {
    /// A server for `capacity` clients at a time, on a ring whose table has `table` slots.
    pub fn new(
        ring: &'ring mut IoUring,
        listener: &'ring Listener,
        admission: Admission,
        table: u32,
        capacity: u32,
        talk: Talk,
    ) -> Server<'ring> {
        Server {
            queues: Queues::new(ring),
            listener,
            admission,
            slots: Slots::new(table),
            clients: forever((0..table).map(|_| Client::default()).collect()),
            waiting: VecDeque::with_capacity(table as usize),
            capacity,
            talk,
            counts: Counts::default(),
            max: None,
            renew_at: RENEW_AFTER,
            stopping: false,
            cut_off: false,
            reading_signal: false,
        }
    }

    // ANCHOR: turn
    /// Serves until a stop signal, or until `max` clients were served and have left.
    pub fn run(mut self, signals: &mut StopSignals, max: Option<u64>) -> Result<()> {
        self.max = max;
        self.read_signal(signals)?;
        loop {
            self.admit()?;
            self.renew_discards()?;
            let at_most = [self.admission.rests_for(), self.talk.goes_on_in()];
            let at_most = at_most.into_iter().flatten().min();
            self.queues.submit_and_wait(1, at_most).context("waiting for completions")?;
            while let Some(completion) = self.queues.next_completion() {
                self.handle(&completion, signals)?;
            }
            self.talk.go_on();
            if self.stopping && self.slots.held() == 0 && !self.admission.is_armed() {
                break;
            }
        }
        self.drain()?;
        self.summarise();
        Ok(())
    }
    // ANCHOR_END: turn

    // ANCHOR: admit
    /// Arms the accept if it is not armed, in the way that suits the free slots.
    fn admit(&mut self) -> Result<()> {
        let token = Token::of(Op::Accept).pack();
        let before = self.admission.way();
        loop {
            match self.admission.step(self.slots.held()) {
                Step::ArmMultishot => {
                    let accept = opcode::AcceptMulti::new(Fd(self.listener.fd()))
                        .allocate_file_index(true)
                        .build();
                    self.push(accept.user_data(token))?;
                    self.counts.accepts_armed += 1;
                }
                Step::ArmSingle => {
                    let null = std::ptr::null_mut();
                    let accept = opcode::Accept::new(Fd(self.listener.fd()), null, null.cast())
                        .file_index(Some(DestinationSlot::auto_target()))
                        .build();
                    self.push(accept.user_data(token))?;
                    self.counts.accepts_armed += 1;
                }
                Step::Cancel => {
                    let cancel =
                        opcode::AsyncCancel2::new(CancelBuilder::user_data(token).all()).build();
                    self.push(cancel.user_data(Token::of(Op::Cancel).pack()))?;
                }
                Step::Wait => break,
            }
        }
        if self.admission.way() != before {
            self.say_way();
        }
        Ok(())
    }
    // ANCHOR_END: admit

    // ANCHOR: handle
    /// Takes one completion to the step that it belongs to.
    fn handle(&mut self, completion: &cqueue::Entry, signals: &mut StopSignals) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(()); // not one of ours: nothing that we could do about it
        };
        let on_slot = !matches!(token.op, Op::Accept | Op::Cancel | Op::Signal);
        if on_slot && !self.slots.finish(token.slot, token.generation) {
            return Ok(()); // for a client that has left this slot
        }
        match token.op {
            Op::Accept => self.accepted(result, cqueue::more(completion.flags())),
            Op::Cancel => {
                self.admission.cancel_ended();
                Ok(())
            }
            Op::Signal => self.signalled(result, signals),
            Op::Close => self.closed(token.slot),
            // The client sent something, which day 03 does not read; or it is time to renew.
            Op::Discard if (result > 0 || result == -libc::ECANCELED) && !self.cut_off => {
                self.discard(token.slot)
            }
            Op::Discard => {
                self.clients[token.slot as usize].leaving = true;
                self.close_if_done(token.slot)
            }
            // A greeting or a shutdown that failed is no matter: the client has gone, and its
            // discard completes too. (The others are not of day 03.)
            _ => self.close_if_done(token.slot),
        }
    }
    // ANCHOR_END: handle

    // ANCHOR: accepted
    /// A client, or the news that the accept has ended. Both may come in one completion.
    fn accepted(&mut self, result: i32, more: bool) -> Result<()> {
        if !more {
            // Without this the next client would wait for ever. A multishot can end on a
            // success too, when the completion queue is full.
            self.admission.accept_ended();
        }
        if result < 0 {
            return self.accept_failed(-result);
        }
        let slot = result as u32;
        self.slots.occupy(slot);
        self.clients[slot as usize].leaving = false;
        self.clients[slot as usize].shut = false;
        if self.stopping || self.max == Some(self.counts.clients) {
            self.clients[slot as usize].number = 0;
            return self.close(slot); // it came while the accept was being cancelled
        }
        self.counts.clients += 1;
        self.clients[slot as usize].number = self.counts.clients;
        if self.max == Some(self.counts.clients) {
            self.admission.close();
            self.stopping = true;
        }
        if self.slots.held() - self.waiting.len() as u32 > self.capacity {
            self.waiting.push_back(slot);
            return Ok(());
        }
        self.greet(slot)
    }
    // ANCHOR_END: accepted

    fn accept_failed(&mut self, errno: i32) -> Result<()> {
        let error = io::Error::from_raw_os_error(errno);
        match errno {
            // Cancelled by us, or a client that left before it was accepted.
            libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN => Ok(()),
            // A kernel that cannot do it says so at the first accept.
            libc::EINVAL if self.counts.clients == 0 => {
                Err(error).context("accepting into a slot, which needs Linux 5.19")
            }
            // The system is out of memory or files, or the network is down. It passes.
            _ => {
                self.admission.rest();
                self.talk.detail(
                    format_args!("an accept failed, and is armed anew in a moment: {error}"),
                    json!({"event": "accept failed", "error": error.to_string()}),
                );
                Ok(())
            }
        }
    }

    // ANCHOR: greet
    /// Tells a client its slot, and starts waiting for its end.
    fn greet(&mut self, slot: u32) -> Result<()> {
        let Client { number, greeting, .. } = &mut self.clients[slot as usize];
        greeting.clear();
        writeln!(greeting, "hello from slot {slot}, you are client {number}")?;
        let send = opcode::Send::new(Fixed(slot), greeting.as_ptr(), greeting.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.talk.detail(
            format_args!("client {number} is in slot {slot}"),
            json!({"event": "accepted", "client": *number, "slot": slot}),
        );
        self.push_on(slot, Op::Send, send)?;
        self.discard(slot)
    }

    /// Throws away what the client sends, up to its end: for TCP, MSG_TRUNC does so without
    /// a buffer (`tcp(7)`).
    fn discard(&mut self, slot: u32) -> Result<()> {
        let recv = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), DISCARD)
            .flags(libc::MSG_TRUNC)
            .build();
        self.push_on(slot, Op::Discard, recv)
    }
    // ANCHOR_END: greet

    /// Now and then, cancels the discards of those who stay, so that each is queued anew.
    ///
    /// Up to Linux 6.12 an operation on a slot holds back the release of every file that
    /// leaves the table after it began: one client who stays for hours would keep the sockets
    /// of all who left meanwhile in memory.
    fn renew_discards(&mut self) -> Result<()> {
        if self.counts.closed < self.renew_at || self.cut_off {
            return Ok(());
        }
        self.renew_at = self.counts.closed + u64::from(self.slots.held() * 4).max(RENEW_AFTER);
        for slot in 0..self.clients.len() as u32 {
            if let Some(generation) = self.slots.generation(slot) {
                let discard =
                    CancelBuilder::user_data(Token::on(Op::Discard, slot, generation).pack());
                let cancel = opcode::AsyncCancel2::new(discard).build();
                self.push(cancel.user_data(Token::of(Op::Cancel).pack()))?;
            }
        }
        Ok(())
    }

    // ANCHOR: close
    fn close_if_done(&mut self, slot: u32) -> Result<()> {
        if self.clients[slot as usize].leaving && self.slots.in_flight(slot) == 0 {
            return self.close(slot);
        }
        Ok(())
    }

    /// Ends the connection, then empties the slot.
    ///
    /// The close alone would do on new kernels. Up to Linux 6.12 it takes effect only when
    /// every operation on *any* slot has ended that is older than it, and with clients who
    /// stay, that is never: this client would not see its end.
    ///
    /// `close(2)` would take the number for a descriptor: slot 0 is not standard input.
    fn close(&mut self, slot: u32) -> Result<()> {
        let client = &mut self.clients[slot as usize];
        client.leaving = true;
        if std::mem::replace(&mut client.shut, true) {
            return self.push_on(slot, Op::Close, opcode::Close::new(Fixed(slot)).build());
        }
        // It fails if the client has reset the connection, or if the kernel has no worker thread
        // for it. Its completion leads to the close all the same, which ends what is left.
        let shutdown = opcode::Shutdown::new(Fixed(slot), libc::SHUT_RDWR).build();
        self.push_on(slot, Op::Shutdown, shutdown)
    }

    /// A slot came free: whoever waited longest is served.
    fn closed(&mut self, slot: u32) -> Result<()> {
        let number = self.clients[slot as usize].number;
        self.slots.release(slot);
        self.counts.closed += 1;
        if number > 0 {
            self.talk.detail(
                format_args!("client {number} has left, slot {slot} is free"),
                json!({"event": "closed", "client": number, "slot": slot}),
            );
        }
        match self.waiting.pop_front() {
            Some(next) => self.greet(next),
            None => Ok(()),
        }
    }
    // ANCHOR_END: close

    // ANCHOR: stop
    fn signalled(&mut self, result: i32, signals: &mut StopSignals) -> Result<()> {
        self.reading_signal = false;
        match -result {
            libc::EINTR | libc::EAGAIN => self.read_signal(signals),
            // Whatever else it fails with, it would never bring a signal: so we stop, too.
            _ => self.stop(signals.name()),
        }
    }

    /// Cancels everything that is in flight. Each operation completes with ECANCELED, and
    /// its slot is closed then.
    fn stop(&mut self, signal: &str) -> Result<()> {
        self.talk.detail(
            format_args!("{signal}: no more clients"),
            json!({"event": "stopping", "signal": signal}),
        );
        self.stopping = true;
        self.cut_off = true;
        self.admission.close();
        while let Some(slot) = self.waiting.pop_front() {
            self.close(slot)?;
        }
        self.cancel_everything()
    }

    fn cancel_everything(&mut self) -> Result<()> {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
        self.push(cancel.user_data(Token::of(Op::Cancel).pack()))
    }

    /// After the last client: if no signal ended the loop, the read of one still has to end.
    fn drain(&mut self) -> Result<()> {
        if self.reading_signal {
            self.cancel_everything()?;
        }
        while self.reading_signal {
            self.queues.submit_and_wait(1, None).context("waiting for the last completions")?;
            while let Some(completion) = self.queues.next_completion() {
                let token = Token::unpack(completion.user_data());
                self.reading_signal &= token.is_none_or(|token| token.op != Op::Signal);
            }
        }
        Ok(())
    }
    // ANCHOR_END: stop

    fn read_signal(&mut self, signals: &mut StopSignals) -> Result<()> {
        let (record, length) = signals.record();
        let read = opcode::Read::new(Fd(signals.fd()), record, length).build();
        self.reading_signal = true;
        self.push(read.user_data(Token::of(Op::Signal).pack()))
    }

    fn push_on(&mut self, slot: u32, op: Op, entry: squeue::Entry) -> Result<()> {
        let generation = self.slots.generation(slot).context("an operation on a free slot")?;
        self.slots.start(slot);
        self.push(entry.user_data(Token::on(op, slot, generation).pack()))
    }

    // ANCHOR: push
    fn push(&mut self, entry: squeue::Entry) -> Result<()> {
        // SAFETY: the only memory our entries point at is a client's greeting and the signal
        // record. Both are never freed, so they outlive what an error leaves in flight. The
        // kernel reads a greeting until its send completes; we change it only while nothing
        // is in flight on its slot. `StopSignals` lets nobody look at the record itself.
        unsafe { self.queues.push(&entry) }.context("submitting a full queue")
    }
    // ANCHOR_END: push

    fn say_way(&mut self) {
        let waiting = self.waiting.len() as u32;
        let held = self.slots.held() - waiting;
        let way = self.admission.way();
        let why = match way {
            Way::Multishot => "slots are free again: back to one multishot accept",
            Way::OneByOne => "almost full: one single accept for each free slot",
        };
        self.talk.detail(
            format_args!("{why} ({held} of {} taken, {waiting} waiting)", self.capacity),
            json!({"event": "accepting", "way": way.name(), "held": held, "waiting": waiting}),
        );
    }

    fn summarise(&mut self) {
        let Counts { clients, accepts_armed, closed } = self.counts;
        let enters = self.queues.enters();
        let (lines_dropped, dropped_line) = (self.talk.dropped(), self.talk.dropped_line());
        self.talk.always(
            format_args!(
                "\n{}, {} closed\n{} armed, {} to submit and wait{dropped_line}",
                several(clients as usize, "client"),
                several(closed as usize, "slot"),
                several(accepts_armed as usize, "accept"),
                several(enters as usize, "system call"),
            ),
            json!({
                "event": "summary",
                "clients": clients,
                "closed": closed,
                "accepts_armed": accepts_armed,
                "enters": enters,
                "lines_dropped": lines_dropped,
            }),
        );
    }
}
