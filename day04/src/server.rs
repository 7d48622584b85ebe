//! The loop: what a turn does, and which function each completion belongs to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::buffers::Buffers;
use common::listener::Listener;
use common::queues::Queues;
use common::signals::StopSignals;
use common::slots::{Admission, Slots, Way};
use common::talk::Talk;
use common::text::several;
use common::token::{Op, Token};
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use serde_json::json;

use crate::Reply;
use crate::batch::{Batch, GATHER};
use crate::connection::{Chains, Connection};
use crate::deadlines::Deadlines;

/// How long a client may go on sending after its answer before it is cut off, and how long
/// a stop waits for answers to be taken.
pub const LINGER: Duration = Duration::from_secs(2);
/// How often, at least, we ask whether a client takes its replies. One that took nothing from
/// one time to the next must go, if others wait for buffers.
const STALLED: Duration = Duration::from_secs(1);
/// How long a completion that needs no hurry may lie in the queue. It is also how long others
/// wait at most when a send that should have completed at once meets a client that does not
/// read.
const UNHURRIED: Duration = Duration::from_millis(20);

/// The sizes that the command line sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients that are served at a time.
    pub capacity: u32,
    /// Slots of the registered table: the capacity and the spare ones.
    pub table: u32,
    /// Completion queue entries.
    pub cq_entries: u32,
    /// After how long without progress a connection is closed.
    pub idle: Duration,
    /// Connections to serve before stopping.
    pub max: Option<u64>,
}

/// What the summary tells.
#[derive(Debug, Default)]
pub struct Counts {
    pub connections: u64,
    pub requests: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub resets: u64,
    pub timed_out: u64,
    pub out_of_buffers: u64,
}

/// Everything that the loop remembers between two turns. Nothing in it grows once the
/// server runs.
pub struct Server<'ring> {
    pub queues: Queues<'ring>,
    pub buffers: &'ring mut Buffers,
    pub listener: &'ring Listener,
    pub reply: Reply,
    pub limits: Limits,
    pub admission: Admission,
    pub slots: Slots,
    pub connections: Vec<Connection>,
    pub chains: Chains,
    /// Connections in spare slots, in the order they came.
    pub waiting: VecDeque<u32>,
    /// Connections that need a receive buffer, with the generation they had.
    pub parked: VecDeque<(u32, u16)>,
    /// Connections answered in the last turn: the next one looks whether they have ended.
    pub answered: Vec<(u32, u16)>,
    /// Connections whose replies began to be sent in this turn.
    pub replying: Vec<u32>,
    pub idle: Deadlines,
    pub lingering: Deadlines,
    /// Clients that have replies to read.
    pub stalled: Deadlines,
    /// Slots closed since the receives were last renewed.
    pub closed_since_renewal: u32,
    /// No more clients are let in: there were enough, or a stop signal came.
    pub stopping: bool,
    /// A stop signal came: only what has arrived by now is answered.
    pub cut_off: bool,
    pub grace: Option<Instant>,
    pub now: Instant,
    pub counts: Counts,
    pub talk: Talk,
    /// Operations that will complete at least once more.
    in_flight: u32,
    /// Those of this turn that complete soon, whatever the clients do.
    prompt: u32,
    /// How many requests the next wait gathers.
    batch: Batch,
    /// The kernel can gather.
    gathers: bool,
}

impl<'ring> Server<'ring> {
    /// A server on a ring whose table and buffers are registered.
    pub fn new(
        ring: &'ring mut IoUring,
        listener: &'ring Listener,
        buffers: &'ring mut Buffers,
        reply: Reply,
        limits: Limits,
        talk: Talk,
    ) -> Server<'ring> {
        let table = limits.table;
        let gathers = ring.params().is_feature_min_timeout();
        let mut queues = Queues::new(ring);
        queues.register_ring_fd();
        Server {
            queues,
            chains: Chains::new(buffers.count()),
            buffers,
            listener,
            reply,
            limits,
            admission: Admission::new(limits.capacity, table, limits.cq_entries),
            slots: Slots::new(table),
            connections: vec![Connection::default(); table as usize],
            waiting: VecDeque::with_capacity(table as usize),
            parked: VecDeque::with_capacity(table as usize),
            answered: Vec::with_capacity(table as usize),
            replying: Vec::with_capacity(table as usize),
            idle: Deadlines::new(table, limits.idle),
            lingering: Deadlines::new(table, LINGER),
            stalled: Deadlines::new(table, STALLED.min(limits.idle / 4)),
            closed_since_renewal: 0,
            stopping: false,
            cut_off: false,
            grace: None,
            now: Instant::now(),
            counts: Counts::default(),
            talk,
            in_flight: 0,
            prompt: 0,
            batch: Batch::new(),
            gathers,
        }
    }

    // ANCHOR: turn
    // ANCHOR: loop
    /// Turn after turn, until everything is answered after a stop signal or `--max`.
    pub fn run(mut self, signals: &mut StopSignals) -> Result<()> {
        self.read_signal(signals)?;
        while !self.is_done() {
            self.admit()?;
            self.look_after_answered()?;
            self.unpark()?;
            self.renew_receives()?;
            let asked = self.submit_and_wait()?;
            let mut came = 0;
            while let Some(completion) = self.queues.next_completion() {
                came += 1;
                self.handle(&completion, signals)?;
            }
            self.batch.learn(asked, came, self.slots.held());
            self.expire()?;
            self.talk.go_on();
        }
        self.drain()?;
        self.summarise();
        Ok(())
    }
    // ANCHOR_END: loop

    // ANCHOR: wait
    /// The one system call of a turn. Returns how many completions it asked for.
    ///
    /// Some entries complete soon, whatever the clients do: closing a slot, say, or sending a
    /// reply to a client that reads. Their completions call for no hurry, so the wait is for
    /// *more* than those: for one request, or for a batch. Unless slots are scarce, or we are
    /// about to stop: then every slot that comes free is news.
    fn submit_and_wait(&mut self) -> Result<u32> {
        let prompt = std::mem::take(&mut self.prompt) + self.sends_without_hurry();
        let hurry = self.stopping || self.admission.way() == Way::OneByOne;
        let unpark = self.can_unpark();
        let batch = if self.gathers && !unpark { self.batch.size() } else { 1 };
        let want = if hurry { 1 } else { (prompt + batch).min(self.in_flight) };
        let unhurried = (want > 1).then_some(UNHURRIED);
        // While parked connections can have a buffer, only what is there already is fetched.
        // It takes a wait to do so: a mere submit does not run deferred work.
        let at_once = unpark.then_some(Duration::ZERO);
        let timeout = [self.until_deadline(), unhurried, at_once].into_iter().flatten().min();
        let min_wait = if batch > 1 { GATHER } else { Duration::ZERO };
        self.queues
            .submit_and_gather(want, min_wait, timeout)
            .context("waiting for completions")?;
        self.now = Instant::now();
        Ok(want)
    }
    // ANCHOR_END: wait
    // ANCHOR_END: turn

    // ANCHOR: handle
    /// Takes one completion to the step that it belongs to.
    fn handle(&mut self, completion: &cqueue::Entry, signals: &mut StopSignals) -> Result<()> {
        let (result, flags) = (completion.result(), completion.flags());
        let more = cqueue::more(flags);
        if !more {
            self.in_flight -= 1;
        }
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        match token.op {
            Op::Accept => return self.accepted(result, more),
            Op::Signal => return self.signalled(result, signals),
            Op::Cancel if token.slot == NO_SLOT => {
                self.admission.cancel_ended();
                return Ok(());
            }
            _ => {}
        }
        // The slot may have a new client by now, whom an old completion must not touch. Its
        // buffer, if it brought one, is ours all the same.
        let current = if more {
            self.slots.is_current(token.slot, token.generation)
        } else {
            self.slots.finish(token.slot, token.generation)
        };
        if !current {
            if let Some(buffer) = cqueue::buffer_select(flags) {
                self.buffers.take(buffer);
                self.buffers.give_back(buffer);
            }
            return Ok(());
        }
        match token.op {
            Op::Recv => self.received(token.slot, result, flags),
            Op::Send => self.sent(token.slot, result),
            Op::Discard => self.discarded(token.slot, result),
            Op::Shutdown => self.shut(token.slot, result),
            Op::Close => self.closed(token.slot),
            Op::Unread => self.told_unread(token.slot, result),
            _ => self.cancelled(token.slot),
        }
    }
    // ANCHOR_END: handle

    /// How long the wait may last: until the first deadline of any connection.
    fn until_deadline(&self) -> Option<Duration> {
        let due = |deadlines: &Deadlines| deadlines.first().map(|(_, due)| due);
        let all = [due(&self.idle), due(&self.lingering), due(&self.stalled), self.grace];
        let due =
            all.into_iter().flatten().min().map(|due| due.saturating_duration_since(self.now));
        [due, self.admission.rests_for(), self.talk.goes_on_in()].into_iter().flatten().min()
    }

    fn is_done(&self) -> bool {
        self.stopping && self.slots.held() == 0 && !self.admission.is_armed()
    }

    /// Cancels what is left, which is the read of the signals, and waits until nothing is in
    /// flight: only then is the kernel done with our memory.
    fn drain(&mut self) -> Result<()> {
        if self.in_flight > 0 {
            let cancel = opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
            self.push(cancel, Token::on(Op::Cancel, NO_SLOT, 0))?;
        }
        while self.in_flight > 0 {
            self.queues.submit_and_wait(1, None).context("waiting for the last completions")?;
            while let Some(completion) = self.queues.next_completion() {
                self.in_flight -= u32::from(!cqueue::more(completion.flags()));
            }
        }
        Ok(())
    }

    pub fn read_signal(&mut self, signals: &mut StopSignals) -> Result<()> {
        let (record, length) = signals.record();
        let read = opcode::Read::new(Fd(signals.fd()), record, length).build();
        self.push(read, Token::of(Op::Signal))
    }

    // ANCHOR: push
    /// Queues an entry for the client in `slot`.
    pub fn push_on(&mut self, slot: u32, op: Op, entry: squeue::Entry) -> Result<()> {
        let generation = self.slots.generation(slot).context("an operation on a free slot")?;
        self.slots.start(slot);
        self.push(entry, Token::on(op, slot, generation))
    }

    /// Like [`Server::push_on`], for an entry that completes soon, whatever the clients do:
    /// while it is being submitted, or, as a shutdown does, in a worker thread of the kernel
    /// right after.
    pub fn push_prompt(&mut self, slot: u32, op: Op, entry: squeue::Entry) -> Result<()> {
        self.prompt += 1;
        self.push_on(slot, op, entry)
    }

    /// Queues an entry; the comment inside says who owns the memory that it points at.
    pub fn push(&mut self, entry: squeue::Entry, token: Token) -> Result<()> {
        self.in_flight += 1;
        let entry = entry.user_data(token.pack());
        // SAFETY: a receive points at no memory of its own: the kernel takes a buffer from
        // `buffers`, which is the kernel's until a completion hands it over. A send points
        // at static bytes, or at a buffer that is ours and is given back only when the send
        // has completed. The buffers and the signal record are never freed, so they outlive
        // what an error leaves in flight.
        unsafe { self.queues.push(&entry) }.context("submitting a full queue")
    }
    // ANCHOR_END: push

    fn summarise(&mut self) {
        let enters = self.queues.enters();
        let (lines_dropped, dropped_line) = (self.talk.dropped(), self.talk.dropped_line());
        let counts = &self.counts;
        let Counts { connections, requests, bytes_in, bytes_out, .. } = counts;
        let per_request = (*requests > 0).then(|| enters as f64 / *requests as f64);
        // With a few requests, starting and stopping would count for more than serving.
        let ratio = per_request.filter(|_| *requests >= 10);
        let ratio = ratio.map_or(String::new(), |ratio| format!(", {ratio:.2} a request"));
        self.talk.always(
            format_args!(
                "\n{}, {}, {bytes_in} bytes in, {bytes_out} bytes out\n\
                 {} to submit and wait{ratio}\n\
                 {}, {} timed out, {} for a buffer{dropped_line}",
                several(*connections as usize, "connection"),
                several(*requests as usize, "request"),
                several(enters as usize, "system call"),
                several(counts.resets as usize, "reset"),
                counts.timed_out,
                several(counts.out_of_buffers as usize, "wait"),
            ),
            json!({
                "event": "summary",
                "connections": connections,
                "requests": requests,
                "bytes_in": bytes_in,
                "bytes_out": bytes_out,
                "resets": counts.resets,
                "timed_out": counts.timed_out,
                "out_of_buffers": counts.out_of_buffers,
                "enters": enters,
                "enters_per_request": per_request,
                "lines_dropped": lines_dropped,
            }),
        );
    }
}

/// Where a token needs a slot and there is none.
pub const NO_SLOT: u32 = Token::MAX_SLOTS - 1;
