//! Measures a program: its cost, and its needless work.
//!
//! A program that ends by itself is measured in its last run, and a server while clients come one
//! after the other ([`one_by_one`]). Then the numbers are the same each time, even on a busy
//! machine.

use std::collections::BTreeMap;
use std::time::Duration;

use common::text::several;

use super::cost::{Cost, Measured, calls};
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

impl Cost {
    /// The cost of a program so far.
    pub fn of(record: &Record) -> Cost {
        let interrupted = record.returns().filter(|back| back.error.as_deref() == Some("EINTR"));
        let enters = (record.enters().count() - interrupted.count()) as u64;
        Cost { enters, entries: record.summary.all_entries() }
    }
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
