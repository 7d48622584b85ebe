//! From a trace to the steps that a reader can play.
//!
//! What the program does in its own memory, writing entries and reading completions, makes no
//! system call at which it could be seen. It is read from the ring's heads and tails as the
//! next call finds them: an entry that an enter takes was written before, and a completion
//! that an enter does not find in the queue any more was read.

use anyhow::{Context, Result, bail};
use common::text::plural;

use super::captions::{self, is_short};
use super::recording::{Completion, Entry, Kind, Shape, Step};
use crate::event::{Enter, Found, Granted, Poller, Return, Setup, Submit, What};

/// One thing that happened: an event of the tracer, or a note in between.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // nearly all of them are events
pub enum Item {
    /// An event of the tracer.
    Event(What),
    /// What a client is about to do.
    Note(String),
}

/// Which part of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Until the first registration after an enter: what day 01 asks for next is left out.
    FirstExchange,
    /// The ring that a kernel thread polls, from where that thread is first found awake.
    Polled,
    /// Until the program sleeps after the last note.
    UntilAsleep,
    /// All of it.
    Whole,
}

/// The shown part of a run.
#[derive(Debug)]
pub struct Story {
    /// The ring.
    pub shape: Shape,
    /// The steps.
    pub steps: Vec<Step>,
}

/// Turns a tape into steps.
///
/// # Errors
/// If the tape holds no such part.
pub fn tell(items: &[Item], part: Part, program: &str, ending: &str) -> Result<Story> {
    let polled = part == Part::Polled;
    let (ring, setup) = ring_of(items, polled).context("the program got no such ring")?;
    let granted = setup.granted.as_ref().context("a ring without parameters")?;
    let shape = shape(granted);
    let mut items: Vec<&Item> = items.iter().filter(|item| concerns(item, ring)).collect();
    match part {
        Part::FirstExchange | Part::Whole => {}
        Part::Polled => cut_the_beginning(&mut items)?,
        Part::UntilAsleep => check_the_end(&items)?,
    }
    let mut teller = Teller { items: &items, polled, ..Teller::default() };
    let first = captions::setup(program, setup);
    teller.steps.push(Step::new(Kind::Setup, first).calling("io_uring_setup"));
    if polled {
        teller.world("The polling thread is awake and looks at the queue all the time.");
    }
    teller.tell(part)?;
    if !ending.is_empty() {
        teller.steps.push(Step::new(Kind::End, ending));
    }
    Ok(Story { shape, steps: teller.steps })
}

/// Turns all that is known of one ring of any program into `most` steps at most. What the trace
/// does not hold, such as entries from before it began, is left out.
pub fn whole(items: &[Item], ring: u32, program: &str, most: usize) -> Option<Story> {
    let (shape, first) = items.iter().find_map(|item| match item {
        Item::Event(What::Setup(setup)) if setup.ring == Some(ring) => {
            Some((shape(setup.granted.as_ref()?), captions::setup(program, setup)))
        }
        Item::Event(What::Found(found)) if found.ring == Some(ring) => {
            let Found { sq_entries, cq_entries, flags, .. } = found.clone();
            let shape = Shape { sq_entries, cq_entries, flags };
            Some((shape, format!("{program} has this ring from before the trace.")))
        }
        _ => None,
    })?;
    let (numbers, items): (Vec<usize>, Vec<&Item>) =
        items.iter().enumerate().filter(|(_, item)| concerns(item, ring)).unzip();
    let polled = shape.flags.iter().any(|flag| flag == "SQPOLL");
    let whole = Some(numbers.as_slice());
    let mut teller = Teller { items: &items, polled, whole, most, ..Teller::default() };
    teller.steps.push(Step::new(Kind::Setup, first).calling("io_uring_setup"));
    teller.tell(Part::Whole).ok()?;
    if teller.steps.len() >= most {
        teller.steps.push(Step::new(Kind::End, "The program goes on; this page ends here."));
    }
    Some(Story { shape, steps: teller.steps })
}

fn shape(granted: &Granted) -> Shape {
    Shape {
        sq_entries: granted.sq_entries,
        cq_entries: granted.cq_entries,
        flags: granted.flags.clone(),
    }
}

/// The first ring, or the first one that is polled.
fn ring_of(items: &[Item], polled: bool) -> Option<(u32, &Setup)> {
    items.iter().find_map(|item| match item {
        Item::Event(What::Setup(setup)) => {
            let flags = &setup.granted.as_ref()?.flags;
            let fits = flags.iter().any(|flag| flag == "SQPOLL") == polled;
            setup.ring.filter(|_| fits).map(|ring| (ring, setup))
        }
        _ => None,
    })
}

/// Whether an item belongs to the ring that is shown; its setup is handled apart.
fn concerns(item: &Item, ring: u32) -> bool {
    let of = match item {
        Item::Note(_) => return true,
        Item::Event(what) => match what {
            What::Register(register) => register.ring,
            What::Enter(enter) => enter.ring,
            What::Return(back) => back.ring,
            What::Submit(submit) => Some(submit.ring),
            What::Complete(complete) => Some(complete.ring),
            What::Poller(poller) => Some(poller.ring),
            What::Close(close) => Some(close.ring),
            _ => None,
        },
    };
    of == Some(ring)
}

/// How often a new polling thread was asleep before it was first found awake differs from run
/// to run: the story begins where an entry is taken without an enter.
fn cut_the_beginning(items: &mut Vec<&Item>) -> Result<()> {
    let mut inside = false;
    let first = items.iter().position(|item| match item {
        Item::Event(What::Enter(_)) => {
            inside = true;
            false
        }
        Item::Event(What::Return(_)) => {
            inside = false;
            false
        }
        Item::Event(What::Submit(_)) => !inside,
        _ => false,
    });
    items.drain(..first.context("no entry was taken by a thread that was awake")?);
    Ok(())
}

/// The tape ends while the program sleeps; how it is stopped afterwards is not on it.
fn check_the_end(items: &[&Item]) -> Result<()> {
    let note = items.iter().rposition(|item| matches!(item, Item::Note(_)));
    let is_asleep = |item: &&Item| matches!(item, Item::Event(What::Enter(enter)) if enter.min_complete > 0 && !is_short(enter));
    let last = items.iter().rposition(is_asleep);
    match (note, last) {
        (Some(note), Some(last)) if note < last => Ok(()),
        _ => bail!("the program did not go back to sleep after its last client"),
    }
}

/// Makes steps of one item after the other.
#[derive(Debug, Default)]
struct Teller<'a> {
    items: &'a [&'a Item],
    polled: bool,
    /// Of a whole trace: the number of each item in it.
    whole: Option<&'a [usize]>,
    /// Where it stops, of a whole trace.
    most: usize,
    steps: Vec<Step>,
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
    fn tell(&mut self, part: Part) -> Result<()> {
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
                    if part == Part::FirstExchange && self.posted > 0 {
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

    fn world(&mut self, words: &str) {
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
