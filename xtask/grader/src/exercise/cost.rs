//! What a program that passes takes of the kernel, how that compares with its exercise's solution,
//! and what it does to no purpose.
//!
//! A program that runs to its end is measured in its last run, a server while clients come one after
//! the other ([`one_by_one`]): there the numbers are the same each time, on a busy machine too.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use common::text::several;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::hang;
use super::record::{Record, WAITS};
use super::run::Run;
use ringtrace::event::What;

/// So many more calls or entries than needed may have a purpose that the check cannot see.
const FEW: u64 = 3;
/// CPU time that is not an error of the clock, which counts in steps of 10 ms.
const BURNT: Duration = Duration::from_millis(20);
/// A server sleeps again within this time after it has served a client.
const SLEEPS: Duration = Duration::from_secs(2);
/// What to do instead.
const SLEEP: &str = "`submit_and_wait(1)` sleeps until there is a completion.";
/// System calls by which a program gets memory.
const MEMORY: [&str; 3] = ["brk", "mmap", "mremap"];

/// Calls of `io_uring_enter`, and entries. Of two the better one is the smaller one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cost {
    /// The calls, those too that never came back; one that a signal interrupts is made again, and
    /// counts once.
    pub enters: u64,
    /// The entries that the kernel took.
    pub entries: u64,
}

impl Cost {
    /// Of a program so far.
    pub fn of(record: &Record) -> Cost {
        let interrupted = record.returns().filter(|back| back.error.as_deref() == Some("EINTR"));
        let enters = (record.enters().count() - interrupted.count()) as u64;
        Cost { enters, entries: record.summary.all_entries() }
    }

    /// Of `part`, if this is the cost of `all`: to the nearest whole number, but not 0 if it is
    /// something.
    #[must_use]
    pub fn share(self, part: u64, all: u64) -> Cost {
        let all = all.max(1);
        let share = |number: u64| ((number * part + all / 2) / all).max(number.min(1));
        Cost { enters: share(self.enters), entries: share(self.entries) }
    }

    /// In words, without what costs so much.
    pub fn words(self) -> String {
        let enters = calls(self.enters);
        let entries = match self.entries {
            1 => "1 entry".to_string(),
            count => format!("{count} entries"),
        };
        format!("{enters} of io_uring_enter, {entries}")
    }
}

fn calls(count: u64) -> String {
    several(count as usize, "call")
}

/// What an exercise's solution takes, as `exercise.toml` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Par {
    /// As in [`Cost`].
    pub enters: u64,
    /// As in [`Cost`].
    pub entries: u64,
    /// What costs so much: `client`, `8 tags`.
    #[serde(default = "run")]
    pub per: String,
}

fn run() -> String {
    "run".to_string()
}

impl Par {
    /// Whether it is that of a whole run.
    pub fn is_of_run(&self) -> bool {
        self.per == run()
    }

    /// How a program compares with the solution, in enters and in entries. Of what a server takes a
    /// tenth is chance: whether two completions came one by one or together.
    fn compared(&self, cost: Cost) -> (Ordering, Ordering) {
        let near = |took: u64, par: u64| !self.is_of_run() && took.abs_diff(par) <= par / 10;
        let compare =
            |took: u64, par| if near(took, par) { Ordering::Equal } else { took.cmp(&par) };
        (compare(cost.enters, self.enters), compare(cost.entries, self.entries))
    }

    /// Whether a program takes what the solution takes.
    pub fn is_met(&self, cost: Cost) -> bool {
        self.compared(cost) == (Ordering::Equal, Ordering::Equal)
    }

    /// Whether a program takes no more than the solution, neither of the one nor of the other.
    pub fn is_reached(&self, cost: Cost) -> bool {
        let (enters, entries) = self.compared(cost);
        enters.is_le() && entries.is_le()
    }

    /// Where a program stands beside the solution: one line.
    pub fn standing(&self, cost: Cost) -> String {
        let Par { enters, entries, per } = self;
        let words = format!("{} per {per}", cost.words());
        match self.compared(cost) {
            _ if self.is_met(cost) => format!("At par: {words}."),
            _ if self.is_reached(cost) => {
                format!("Better than par, {enters} and {entries}: {words}.")
            }
            (Ordering::Less, _) | (_, Ordering::Less) => {
                format!("{words}; par is {enters} and {entries}.")
            }
            _ => format!("{words}; {enters} and {entries} are possible."),
        }
    }
}

/// What was measured of a program that passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// What it takes.
    pub cost: Cost,
    /// What it does to no purpose, a sentence each.
    pub remarks: Vec<String>,
}

impl Measured {
    /// Of a program that has run to its end.
    pub fn of(record: &Record) -> Measured {
        let mut remarks = Counts::of(record).remarks();
        if record.burnt >= BURNT {
            remarks.push(format!(
                "{} ms of CPU time went by while there was nothing to do but wait. {SLEEP}",
                record.burnt.as_millis()
            ));
        }
        Measured { cost: Cost::of(record), remarks }
    }

    /// The same with the cost of `part` of `all`.
    #[must_use]
    pub fn share(self, part: u64, all: u64) -> Measured {
        Measured { cost: self.cost.share(part, all), ..self }
    }
}

/// What is counted from a program's beginning on.
struct Counts {
    cost: Cost,
    /// Enters that submitted nothing, did not wait, and brought nothing.
    vain: u64,
    /// Calls that wait or give the CPU away, beside the ring, by name.
    waits: BTreeMap<String, u64>,
    /// Calls by which it got memory.
    memory: u64,
    /// A kernel thread polls one of its rings: such a program looks at memory, and wakes the thread.
    polled: bool,
}

impl Counts {
    fn of(record: &Record) -> Counts {
        let names: Vec<&str> = WAITS.iter().copied().chain(["sched_yield"]).collect();
        let mut waits = BTreeMap::new();
        for call in record.plain_calls(&names) {
            *waits.entry(call.name.clone()).or_default() += 1;
        }
        let (calls, polled) = (&record.summary.other_calls, record.summary.polled);
        let memory = MEMORY.iter().filter_map(|name| calls.get(*name)).sum();
        Counts { cost: Cost::of(record), vain: vain(record), waits, memory, polled }
    }

    /// From then on.
    fn since(mut self, before: &Counts) -> Counts {
        self.cost.enters -= before.cost.enters;
        self.cost.entries -= before.cost.entries;
        self.vain -= before.vain;
        self.memory -= before.memory;
        for (name, count) in &before.waits {
            *self.waits.entry(name.clone()).or_default() -= count;
        }
        self
    }

    /// On calls that a wait for a completion would have saved.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.polled {
            return remarks;
        }
        if self.vain > FEW {
            remarks.push(format!(
                "{} of io_uring_enter submitted nothing, waited for nothing and brought nothing. \
                 {SLEEP}",
                calls(self.vain)
            ));
        }
        for (name, count) in self.waits.iter().filter(|(_, count)| **count > FEW) {
            remarks.push(format!("{} of {name} waited beside the ring. {SLEEP}", calls(*count)));
        }
        remarks
    }
}

/// The enters that submitted nothing, did not wait, and returned with nothing. One that fetches what
/// found no room in the queue has a purpose.
fn vain(record: &Record) -> u64 {
    let mut vain = 0;
    // The enters that asked for nothing, and the completions so far.
    let mut asked = BTreeMap::new();
    let (mut posted, mut overflow) = (0_u64, false);
    for event in &record.events {
        match &event.what {
            What::Complete(_) => posted += 1,
            What::Enter(enter) if (enter.to_submit, enter.min_complete) == (0, 0) && !overflow => {
                asked.insert(enter.enter, posted);
            }
            What::Return(back) => {
                overflow = back.overflow;
                let before = asked.remove(&back.enter);
                vain += u64::from(before == Some(posted) && back.error.is_none());
            }
            _ => {}
        }
    }
    vain
}

/// Waits until the program sleeps, as a server does that has nothing more to do.
pub fn rests(run: &Run) {
    testkit::holds_within(SLEEPS, || hang::sleeps(run.pid()) || run.ended());
}

/// How many clients are enough to measure one.
pub const ALONE: u64 = 10;

/// The cost of one of `clients` that come one after the other, each when the server sleeps again;
/// one more comes before them. `visit` brings one and sees it go.
///
/// # Errors
/// Those of `visit`.
pub fn one_by_one(
    run: &mut Run,
    clients: u64,
    mut visit: impl FnMut(&mut Run) -> Result<(), Failure>,
) -> Result<Measured, Failure> {
    let rests =
        |run: &Run| testkit::holds_within(SLEEPS, || hang::sleeps(run.pid()) || run.ended());
    let open = |run: &Run| run.descriptors().map_or(0, |them| them.len());
    // Before the first one it may not have begun to wait for any.
    visit(run)?;
    rests(run);
    let (before, descriptors) = (Counts::of(&run.record()), open(run));
    for _ in 0..clients {
        visit(run)?;
        rests(run);
    }
    let counts = Counts::of(&run.record()).since(&before);
    let mut remarks = counts.remarks();
    if counts.memory >= clients {
        remarks.push(format!(
            "{} of mmap or brk for {clients} clients: the kernel has to find memory for each. \
             Keep what one has left for the next.",
            calls(counts.memory)
        ));
    }
    let more = open(run).saturating_sub(descriptors);
    if more as u64 * 2 > clients {
        remarks.push(format!(
            "{clients} clients came and went, and the program holds {} more than before.",
            several(more, "descriptor")
        ));
    }
    Ok(Measured { cost: counts.cost.share(1, clients), remarks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringtrace::event::{Complete, Enter, Event, Return};

    #[test]
    fn a_program_is_told_where_it_stands_in_one_line() {
        let par = Par { enters: 4, entries: 8, per: "client".into() };
        let standing = |enters, entries| par.standing(Cost { enters, entries });
        assert_eq!(standing(4, 8), "At par: 4 calls of io_uring_enter, 8 entries per client.");
        let more = "8 entries per client; 4 and 8 are possible.";
        assert_eq!(standing(5, 8), format!("5 calls of io_uring_enter, {more}"));
        let better = "Better than par, 4 and 8: 1 call of io_uring_enter, 8 entries per client.";
        assert_eq!(standing(1, 8), better);
        let mixed = "5 calls of io_uring_enter, 1 entry per client; par is 4 and 8.";
        assert_eq!(standing(5, 1), mixed);
        let long = Par { enters: 10, entries: 20, per: "message".into() };
        assert!(long.standing(Cost { enters: 99, entries: 999 }).len() <= 78);
        assert!(long.standing(Cost { enters: 9, entries: 19 }).len() <= 78);
    }

    #[test]
    fn of_a_server_a_tenth_is_chance() {
        let mut par = Par { enters: 10, entries: 9, per: "client".into() };
        let met = |par: &Par, enters, entries| par.is_met(Cost { enters, entries });
        assert!(met(&par, 9, 9) && met(&par, 11, 9) && !met(&par, 12, 9) && !met(&par, 10, 8));
        par.per = run();
        assert!(met(&par, 10, 9) && !met(&par, 9, 9) && !met(&par, 11, 9));
    }

    #[test]
    fn a_share_is_a_whole_number() {
        let cost = |enters, entries| Cost { enters, entries };
        assert_eq!(cost(41, 61).share(1, 20), cost(2, 3));
        assert_eq!(cost(15, 60).share(8, 60), cost(2, 8));
        assert_eq!(cost(1, 60).share(8, 60), cost(1, 8));
        assert_eq!(cost(0, 0).share(8, 60), cost(0, 0));
    }

    fn record(whats: Vec<What>) -> Record {
        let event = |what| Event { us: 0, tid: 1, what };
        Record { events: whats.into_iter().map(event).collect(), ..Record::default() }
    }

    #[test]
    fn an_enter_that_was_interrupted_counts_once() {
        let enter = |enter| What::Enter(Enter { enter, min_complete: 1, ..Enter::default() });
        let error = Some("EINTR".to_string());
        let interrupted = What::Return(Return { enter: 1, error, ..Return::default() });
        assert_eq!(Cost::of(&record(vec![enter(1), interrupted, enter(2)])).enters, 1);
    }

    #[test]
    fn an_enter_that_brings_something_is_not_in_vain() {
        let enter = |enter, to_submit, min_complete| {
            What::Enter(Enter { enter, to_submit, min_complete, ..Enter::default() })
        };
        let back = |enter| What::Return(Return { enter, ..Return::default() });
        let complete = || What::Complete(Complete::default());
        assert_eq!(vain(&record(vec![enter(1, 0, 0), back(1)])), 1);
        assert_eq!(vain(&record(vec![enter(1, 0, 0), complete(), back(1)])), 0);
        assert_eq!(vain(&record(vec![enter(1, 1, 0), back(1), enter(2, 0, 1), back(2)])), 0);
        let full = What::Return(Return { enter: 1, overflow: true, ..Return::default() });
        assert_eq!(vain(&record(vec![enter(1, 9, 0), full, enter(2, 0, 0), back(2)])), 0);
    }
}
