//! The cost of a passing program, in calls and entries, how it compares with the exercise's
//! solution, and the program's needless work.
//!
//! A program that ends by itself is measured in its last run, and a server while clients come one
//! after the other ([`one_by_one`]). Then the numbers are the same each time, even on a busy
//! machine.

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

/// This many calls or entries more than needed get no remark: they may have a purpose.
const FEW: u64 = 3;
/// CPU time above the error of the clock, which counts in steps of 10 ms.
const BURNT: Duration = Duration::from_millis(20);
/// Within this time after serving a client a server sleeps again.
const SLEEPS: Duration = Duration::from_secs(2);
/// What to do instead.
const SLEEP: &str = "`submit_and_wait(1)` sleeps until there is a completion.";
/// System calls by which a program gets memory.
const MEMORY: [&str; 3] = ["brk", "mmap", "mremap"];

/// Calls of `io_uring_enter`, and entries. The smaller cost is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cost {
    /// The calls, also those that never returned. A call that a signal interrupts and the kernel
    /// restarts counts once.
    pub enters: u64,
    /// The entries that the kernel took.
    pub entries: u64,
}

impl Cost {
    /// The cost of a program so far.
    pub fn of(record: &Record) -> Cost {
        let interrupted = record.returns().filter(|back| back.error.as_deref() == Some("EINTR"));
        let enters = (record.enters().count() - interrupted.count()) as u64;
        Cost { enters, entries: record.summary.all_entries() }
    }

    /// The cost of `part`, if this is the cost of `all`, rounded to a whole number, but to 1 at
    /// least if it is not 0.
    #[must_use]
    pub fn share(self, part: u64, all: u64) -> Cost {
        let all = all.max(1);
        let share = |number: u64| ((number * part + all / 2) / all).max(number.min(1));
        Cost { enters: share(self.enters), entries: share(self.entries) }
    }

    /// In words, without the unit.
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

/// The cost of an exercise's solution, as in `exercise.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Par {
    /// As in [`Cost`].
    pub enters: u64,
    /// As in [`Cost`].
    pub entries: u64,
    /// The unit of the cost: `client`, `8 tags`.
    #[serde(default = "run")]
    pub per: String,
}

fn run() -> String {
    "run".to_string()
}

impl Par {
    /// Whether the cost is for a whole run.
    pub fn is_of_run(&self) -> bool {
        self.per == run()
    }

    /// How a program compares with the solution, in enters and in entries. A difference of a tenth
    /// in a server's cost is chance: two completions may come one by one or together.
    fn compared(&self, cost: Cost) -> (Ordering, Ordering) {
        let near = |took: u64, par: u64| !self.is_of_run() && took.abs_diff(par) <= par / 10;
        let compare =
            |took: u64, par| if near(took, par) { Ordering::Equal } else { took.cmp(&par) };
        (compare(cost.enters, self.enters), compare(cost.entries, self.entries))
    }

    /// Whether a program's cost is that of the solution.
    pub fn is_met(&self, cost: Cost) -> bool {
        self.compared(cost) == (Ordering::Equal, Ordering::Equal)
    }

    /// Whether a program needs no more enters and no more entries than the solution.
    pub fn is_reached(&self, cost: Cost) -> bool {
        let (enters, entries) = self.compared(cost);
        enters.is_le() && entries.is_le()
    }

    /// How a program compares with the solution, in one line.
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

/// The measurements of a passing program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Its cost.
    pub cost: Cost,
    /// Its needless work, one sentence each.
    pub remarks: Vec<String>,
}

impl Measured {
    /// The measurements of a program that has ended.
    pub fn of(record: &Record) -> Measured {
        let mut remarks = Counts::of(record).remarks();
        if record.burnt >= BURNT {
            remarks.push(format!(
                "The program used {} ms of CPU time while it could only wait. {SLEEP}",
                record.burnt.as_millis()
            ));
        }
        Measured { cost: Cost::of(record), remarks }
    }

    /// The same measurements with the cost of `part` of `all`.
    #[must_use]
    pub fn share(self, part: u64, all: u64) -> Measured {
        Measured { cost: self.cost.share(part, all), ..self }
    }
}

/// Counters since the program's beginning.
struct Counts {
    cost: Cost,
    /// Enters that submitted nothing, did not wait, and fetched nothing.
    vain: u64,
    /// Calls outside the ring that wait or yield the CPU, by name.
    waits: BTreeMap<String, u64>,
    /// Calls that allocate memory.
    memory: u64,
    /// Whether a kernel thread polls one of its rings. Such a program polls memory, and wakes the
    /// thread.
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

    /// The difference since an earlier moment.
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

    /// Remarks on calls that a wait for a completion would have saved.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.polled {
            return remarks;
        }
        if self.vain > FEW {
            remarks.push(format!(
                "{} of io_uring_enter submitted nothing, did not wait and fetched nothing. {SLEEP}",
                calls(self.vain)
            ));
        }
        for (name, count) in self.waits.iter().filter(|(_, count)| **count > FEW) {
            remarks.push(format!("{} of {name} waited outside the ring. {SLEEP}", calls(*count)));
        }
        remarks
    }
}

/// The enters that submitted nothing, did not wait, and fetched nothing. An enter that fetches
/// completions from the overflow list does not count.
fn vain(record: &Record) -> u64 {
    let mut vain = 0;
    // The candidates, and the completions so far.
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

/// Waits until the program sleeps, like an idle server.
pub fn rests(run: &Run) {
    testkit::holds_within(SLEEPS, || hang::sleeps(run.pid()) || run.ended());
}

/// How many clients the measurement of one needs.
pub const ALONE: u64 = 10;

/// The cost of one of `clients` that come one after the other, each when the server sleeps again.
/// One more client comes before them. `visit` connects a client and waits for its end.
///
/// # Errors
/// The errors of `visit`.
pub fn one_by_one(
    run: &mut Run,
    clients: u64,
    mut visit: impl FnMut(&mut Run) -> Result<(), Failure>,
) -> Result<Measured, Failure> {
    let rests =
        |run: &Run| testkit::holds_within(SLEEPS, || hang::sleeps(run.pid()) || run.ended());
    let open = |run: &Run| run.descriptors().map_or(0, |them| them.len());
    // Before the first client the server may not wait for clients yet.
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
            "{} of mmap or brk for {clients} clients. Keep a client's memory for the next one: \
             then the kernel need not find memory for each.",
            calls(counts.memory)
        ));
    }
    let more = open(run).saturating_sub(descriptors);
    if more as u64 * 2 > clients {
        remarks.push(format!(
            "{clients} clients have connected and left, and the program has {} more than before.",
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
