//! What happened at a ring, as steps that a reader can play.
//!
//! What the program does in its own memory, writing entries and reading completions, makes no
//! system call at which it could be seen. It is read from the ring's heads and tails as the
//! next call finds them: an entry that an enter takes was written before, and a completion
//! that an enter does not find in the queue any more was read.

use anyhow::{Context, Result};
use common::text::plural;

use super::captions::{self, is_short};
use super::recording::{Completion, Entry, Kind, Step};
use crate::event::{Enter, Poller, Return, Submit, What};

/// One thing that happened: an event of the tracer, or a note in between.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // nearly all of them are events
pub enum Item {
    /// An event of the tracer.
    Event(What),
    /// What a client is about to do.
    Note(String),
}

/// Makes steps of one item after the other.
#[derive(Debug, Default)]
pub(super) struct Teller<'a> {
    items: &'a [&'a Item],
    polled: bool,
    /// It stops at the first registration after an exchange.
    pub first_exchange: bool,
    /// Of a whole trace: the number of each item in it.
    pub whole: Option<&'a [usize]>,
    /// Where it stops, of a whole trace.
    pub most: usize,
    pub steps: Vec<Step>,
    /// The numbers that the tracer gave the entries that were written, in order.
    written: Vec<u64>,
    /// How many of them were taken.
    taken: usize,
    posted: u32,
    reaped: u32,
    /// The enter that has not returned, and whether it is shown asleep.
    inside: Option<(&'a Enter, bool)>,
    dozes: bool,
}

impl<'a> Teller<'a> {
    /// A teller of what happened at one ring; `polled` says whether a kernel thread polls it.
    pub fn new(items: &'a [&'a Item], polled: bool) -> Teller<'a> {
        Teller { items, polled, ..Teller::default() }
    }

    /// Makes the steps.
    ///
    /// # Errors
    /// If a completion has no entry.
    pub fn tell(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some(item) = self.items.get(at) {
            let mut next = at + 1;
            let before = self.steps.len();
            if self.whole.is_some() && before >= self.most {
                return Ok(());
            }
            match item {
                Item::Note(words) => self.note(words),
                Item::Event(What::Register(register)) => {
                    self.reap_until(at);
                    if self.first_exchange && self.posted > 0 {
                        return Ok(());
                    }
                    let step = Step::new(Kind::Register, captions::register(register));
                    self.steps.push(step.calling("io_uring_register"));
                }
                Item::Event(What::Enter(enter)) => self.enter(at, enter),
                Item::Event(What::Submit(submit)) if self.polled => self.polled_entry(submit),
                Item::Event(What::Complete(_)) => next = self.complete(at)?,
                Item::Event(What::Return(back)) => self.returned(back),
                Item::Event(What::Poller(poller)) => self.poller(at, *poller),
                Item::Event(What::Close(_)) => {
                    self.reap_until(at);
                    let words = match self.posted.saturating_sub(self.reaped) {
                        0 => "The program closes the ring.".to_string(),
                        left => format!(
                            "The program closes the ring, {} unread.",
                            plural(left, "completion")
                        ),
                    };
                    self.steps.push(Step::new(Kind::Close, words));
                }
                Item::Event(_) => {}
            }
            if let Some(numbers) = self.whole {
                let number = numbers.get(at).copied();
                self.steps[before..].iter_mut().for_each(|step| step.event = number);
            }
            at = next;
        }
        // The program sleeps at the end, so the last step must show it asleep.
        if let Some((_, false)) = self.inside {
            self.sleep();
        }
        Ok(())
    }

    /// Adds something that happens outside of the rings.
    pub fn world(&mut self, words: &str) {
        self.steps.push(Step::new(Kind::World, words));
    }

    fn note(&mut self, words: &str) {
        if let Some((_, false)) = self.inside {
            self.sleep();
        }
        self.world(words);
    }

    fn sleep(&mut self) {
        self.steps.push(Step::new(
            Kind::Sleep,
            "Nothing has completed, so the program sleeps inside the call.",
        ));
        self.inside = self.inside.map(|(enter, _)| (enter, true));
    }

    fn enter(&mut self, at: usize, enter: &'a Enter) {
        self.reap_until(at);
        let entries = self.entries_of(at);
        if !self.polled && !entries.is_empty() {
            self.push(&entries);
        }
        let wakes = self.polled && enter.flags.iter().any(|flag| flag == "SQ_WAKEUP");
        let takes = if self.polled { 0 } else { entries.len() };
        let mut step = Step::new(Kind::Enter, captions::enter(enter, takes, wakes));
        step.takes = self.take(takes);
        step.wakes = wakes;
        self.steps.push(step.calling("io_uring_enter"));
        self.inside = Some((enter, false));
        self.dozes &= !wakes;
    }

    /// The entries that are seen going in from here on, until the enter returns.
    fn entries_of(&self, at: usize) -> Vec<&'a Submit> {
        let inside = self.items[at + 1..]
            .iter()
            .take_while(|item| !matches!(item, Item::Event(What::Return(_))));
        inside.filter_map(|item| submit(item)).collect()
    }

    fn push(&mut self, submits: &[&Submit]) {
        let mut entries: Vec<Entry> = Vec::new();
        for submit in submits {
            self.written.push(submit.seq);
            let number = self.written.len() as u64;
            entries.push(match self.whole {
                Some(_) => captions::entry_as_it_is(number, submit),
                None => captions::entry(number, submit),
            });
        }
        let say = captions::push(&entries);
        self.steps.push(Step { entries, ..Step::new(Kind::Push, say) });
    }

    fn take(&mut self, count: usize) -> Vec<u64> {
        let first = self.taken as u64 + 1;
        self.taken += count;
        (first..first + count as u64).collect()
    }

    fn polled_entry(&mut self, submit: &Submit) {
        if !self.written.contains(&submit.seq) {
            self.push(&[submit]);
        }
        let takes = self.take(1);
        self.steps
            .push(Step { takes, ..Step::new(Kind::Take, captions::take(self.inside.is_some())) });
    }

    /// Successive completions are one step. Returns where it ends.
    fn complete(&mut self, at: usize) -> Result<usize> {
        let mut completions: Vec<Completion> = Vec::new();
        let mut next = at;
        while let Some(Item::Event(What::Complete(complete))) = self.items.get(next) {
            let number = complete.seq.and_then(|seq| self.number(seq));
            let number = match (number, self.whole) {
                (None, Some(_)) => 0,
                (number, _) => number.context("a completion without an entry")?,
            };
            completions.push(captions::completion(number, complete));
            next += 1;
        }
        self.posted += completions.len() as u32;
        let say = captions::complete(&completions);
        self.steps.push(Step { completions, ..Step::new(Kind::Complete, say) });
        if self.polled && self.inside.is_none() {
            self.reap_until(next);
        }
        Ok(next)
    }

    /// The number of an entry in this recording.
    fn number(&self, seq: u64) -> Option<u64> {
        let index = self.written.iter().position(|written| *written == seq)?;
        Some(index as u64 + 1)
    }

    fn returned(&mut self, back: &Return) {
        let Some((enter, slept)) = self.inside.take() else { return };
        // It waits for more than can come.
        if is_short(enter) && self.posted - self.reaped < enter.min_complete && !slept {
            self.steps.push(Step::new(
                Kind::Sleep,
                "Nothing more comes. The program sleeps inside the call until its time is up.",
            ));
        }
        self.steps.push(Step::new(Kind::Return, captions::returned(back)));
    }

    fn poller(&mut self, at: usize, poller: Poller) {
        if !poller.asleep || self.inside.is_some() {
            return;
        }
        self.reap_until(at);
        if !self.dozes {
            self.dozes = true;
            self.steps.push(Step::new(
                Kind::Doze,
                "The polling thread has found nothing to do for its idle time. It sleeps, and \
                 says so in the queue's flags: IORING_SQ_NEED_WAKEUP.",
            ));
        }
        let unseen = poller.waiting as usize + self.taken - self.written.len();
        let waiting: Vec<&Submit> =
            self.items[at..].iter().filter_map(|item| submit(item)).take(unseen).collect();
        if !waiting.is_empty() {
            self.push(&waiting);
            self.world("The kernel does not see the entry: the thread sleeps, and the queue is only memory.");
        }
    }

    /// Adds what the program has read by the time of an item: the next call that looks at the queue
    /// shows it.
    fn reap_until(&mut self, at: usize) {
        let mut later = 0;
        let left = self.items[at..].iter().find_map(|item| match item {
            Item::Event(What::Complete(_)) => {
                later += 1;
                None
            }
            Item::Event(What::Enter(enter)) => enter.unreaped,
            Item::Event(What::Close(close)) => Some(close.never_reaped),
            _ => None,
        });
        let Some(left) = left else { return };
        let read = (self.posted + later).saturating_sub(left).min(self.posted);
        if read > self.reaped {
            let count = read - self.reaped;
            self.reaped = read;
            let step = Step::new(Kind::Reap, captions::reap(count));
            self.steps.push(Step { reaps: count, ..step });
        }
    }
}

fn submit(item: &Item) -> Option<&Submit> {
    match item {
        Item::Event(What::Submit(submit)) => Some(submit),
        _ => None,
    }
}
