//! Why a program does not go on, in terms of its two rings: for the verdicts of the exercises.

use std::thread;
use std::time::{Duration, Instant};

use common::text::several;

use super::Trace;
use super::event::{Complete, Event, What};
use super::ring::RingNow;
use super::shared::CERTAIN;
use super::summary::Summary;
use super::threads::{Thread, sleeps_in, threads};

/// What is known of a hang before the rings are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It sleeps in an enter that nothing can end.
    Stuck,
    /// It burns CPU time and gets nowhere.
    Spins,
    /// Nothing has happened for as long as the run's patience lasts.
    Still,
    /// A signal has stopped it.
    Stopped,
    /// Things happen, and go on happening.
    Endless,
}

/// How often a program that seems to stand still is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A stopped program counts as hung only after this many times a run's patience: it may only be
/// waiting for its tracer.
const STOPPED: u32 = 4;
/// CPU time without an entry or a completion, after which a program spins.
const SPUN: Duration = Duration::from_secs(1);
/// More bytes than any exercise prints.
const MUCH: usize = 1 << 16;

/// Where a program hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a wait, and nothing is in flight.
    Wait,
    /// In a wait, and nothing of what is in flight completes.
    InFlight,
    /// Entries were pushed, and the kernel does not know of them.
    Pushed,
    /// Completions are there, and the program does not take them.
    NotReaped,
    /// In a call that is not about a ring.
    Call,
    /// In a loop.
    Spin,
}

/// Why a program does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hang {
    /// Where it hangs.
    pub place: Place,
    /// The state of the program and its rings at this moment.
    pub now: String,
    /// Which rule that breaks, and what to do.
    pub rule: String,
}

/// What a program has done so far, and printed.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// What crossed its rings.
    pub events: &'a [Event],
    /// The totals.
    pub summary: &'a Summary,
    /// How many bytes it printed.
    pub printed: usize,
}

impl<'a> Done<'a> {
    fn has_submitted(&self) -> bool {
        self.events.iter().any(|event| matches!(event.what, What::Submit(_)))
    }

    fn completes(&self) -> impl Iterator<Item = &'a Complete> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Complete(complete) => Some(complete),
            _ => None,
        })
    }
}

/// Watches a program for signs of life.
#[derive(Debug)]
pub struct Stillness {
    patience: Duration,
    most: usize,
    looked: Instant,
    progress: u64,
    since: Instant,
    cpu: Duration,
    stuck: Option<Instant>,
}

impl Stillness {
    /// Watches from now on. A program with more events than `most` counts as endless.
    pub fn new(patience: Duration, most: usize) -> Stillness {
        let now = Instant::now();
        Stillness {
            patience,
            most,
            looked: now,
            progress: u64::MAX,
            since: now,
            cpu: Duration::ZERO,
            stuck: None,
        }
    }

    /// Whether it hangs; to be called repeatedly. `printed` are the bytes that it printed; `long`
    /// that it has run for longer than any program may.
    pub fn verdict(&mut self, pid: u32, trace: &Trace, printed: usize, long: bool) -> Option<Kind> {
        if self.looked.elapsed() < LOOK {
            return None;
        }
        self.looked = Instant::now();
        let summary = trace.summary();
        if long || trace.happened() > self.most {
            return Some(Kind::Endless);
        }
        if summary.calls_not_kept > 0 {
            return Some(Kind::Spins);
        }
        let progress = summary.all_entries()
            + summary.all_completions()
            + summary.rings
            + summary.registers.values().sum::<u64>()
            + printed as u64;
        let threads = threads(pid);
        let cpu: Duration = threads.iter().map(|thread| thread.cpu).sum();
        if progress != self.progress {
            (self.progress, self.since, self.cpu) = (progress, Instant::now(), cpu);
            self.stuck = None;
            return None;
        }
        if all_wait(&threads) && nothing_can_come(&trace.rings()) {
            let since = *self.stuck.get_or_insert_with(Instant::now);
            if since.elapsed() >= CERTAIN {
                return Some(Kind::Stuck);
            }
        } else {
            self.stuck = None;
        }
        if cpu.saturating_sub(self.cpu) >= SPUN {
            return Some(Kind::Spins);
        }
        // A thread that is runnable but starved is slow, not hung: its CPU time decides. A program
        // that is stopped (SIGSTOP) looks like one that waits for its tracer, which takes less
        // time.
        let asleep = threads.iter().all(|thread| thread.asleep);
        let stopped = threads.iter().all(|thread| thread.asleep || thread.stopped);
        if asleep && self.since.elapsed() >= self.patience {
            return Some(Kind::Still);
        }
        let long_enough = self.since.elapsed() >= self.patience * STOPPED;
        (stopped && cpu == self.cpu && long_enough).then_some(Kind::Stopped)
    }
}

/// The program's one ring waits, without a time limit, for more than can come.
fn nothing_can_come(rings: &[RingNow]) -> bool {
    let [ring] = rings else { return false };
    let [enter] = ring.inside.as_slice() else { return false };
    let waits = enter.at_most_us.is_none() && enter.min_complete > ring.unreaped;
    waits && !ring.polled && !ring.silent && ring.in_flight.is_empty()
}

/// One thread sleeps in an enter, and all others only wait for threads.
fn all_wait(threads: &[Thread]) -> bool {
    let is = |thread: &&Thread, name: &str| thread.call.as_deref() == Some(name);
    let entered = threads.iter().filter(|thread| is(thread, "io_uring_enter")).count();
    let waiting = threads.iter().filter(|thread| is(thread, "futex")).count();
    entered == 1 && entered + waiting == threads.len() && threads.iter().all(|t| t.asleep)
}

/// Puts a hang into words.
pub fn explain(done: &Done<'_>, rings: &[RingNow], pid: u32, kind: Kind) -> Hang {
    let hang = |place, now: String, rule: &str| Hang { place, now, rule: rule.to_string() };
    if kind == Kind::Endless {
        let others = done.summary.other_calls.values().sum::<u64>();
        let now = format!("{} enters, {others} other calls, and no end", done.summary.enters);
        let rule = repeated(done).unwrap_or_else(|| {
            "The program goes on and on. What it must do needs far less.".to_string()
        });
        return hang(Place::Spin, now, &rule);
    }
    if kind == Kind::Stopped {
        let rule = "The program is stopped, by SIGSTOP or a signal like it, and goes on only when it \
                    gets SIGCONT.";
        return hang(Place::Call, "a signal has stopped it".into(), rule);
    }
    if let Some(ring) = rings.iter().find(|ring| ring.pushed > 0) {
        return pushed(ring);
    }
    let waiting = rings
        .iter()
        .find_map(|ring| ring.inside.iter().find(|e| e.min_complete > 0).map(|e| (ring, e)));
    if let Some((ring, enter)) = waiting {
        let asked = enter.min_complete;
        let there = ring.unreaped;
        if ring.in_flight.is_empty() && !ring.silent {
            let now = format!("it waits for {asked}; in the queue: {there}; in flight: nothing");
            let rule = if !done.has_submitted() && !ring.polled {
                "The kernel has taken no entry, so nothing can complete. A push is published when \
                 what `submission()` gives is dropped, or by `sync()` of the queue that `split()` \
                 gives. After that, submit and wait."
            } else {
                "io_uring_enter returns when as many completions are there as were asked for. An \
                 entry that was not submitted never completes: wait for no more than are in flight."
            };
            return hang(Place::Wait, now, rule);
        }
        let flight = in_flight(ring);
        let now = format!("it waits for {asked}; in the queue: {there}; in flight: {flight}");
        let rule = "The program waits for what is in flight, and none of it completes.";
        return hang(Place::InFlight, now, rule);
    }
    if let Some(ring) = rings.iter().find(|ring| ring.unreaped > 0) {
        let there = several(ring.unreaped as usize, "completion");
        let now = format!("{there} in the queue, and the program does not take them");
        let rule = "The kernel has answered. The answers lie in the completion queue until the \
                    program takes them with `ring.completion()`, which has to be asked again \
                    each time round a loop.";
        return hang(Place::NotReaped, now, rule);
    }
    if threads(pid).is_empty() {
        let rule = "The program is over when all that it started has ended, too.";
        let now = "it has ended, and a process that it started has not";
        return hang(Place::Call, now.into(), rule);
    }
    let call = if kind == Kind::Spins { None } else { caught_asleep(pid) };
    match call {
        Some(call) => {
            let now = format!("it sleeps in the system call {call}");
            let rule = format!(
                "The program sleeps in the system call {call}(2), and does not see its ring \
                 meanwhile."
            );
            hang(Place::Call, now, &rule)
        }
        None => spins(done, rings),
    }
}

/// The call that a program sleeps in. One that sleeps again and again, for a short time each, may
/// be awake at this moment.
fn caught_asleep(pid: u32) -> Option<String> {
    let call = || sleeps_in(&threads(pid));
    let again = |_| {
        thread::sleep(Duration::from_millis(2));
        call()
    };
    call().or_else(|| (0..500).find_map(again))
}

fn spins(done: &Done<'_>, rings: &[RingNow]) -> Hang {
    let under_way = rings.iter().find(|ring| !ring.in_flight.is_empty() || ring.silent);
    let flight = under_way.map_or_else(|| "nothing".to_string(), in_flight);
    let now = format!("it burns CPU time; in flight: {flight}");
    let polled = rings.iter().any(|ring| ring.polled);
    let mut rule = match under_way {
        _ if polled => {
            "The program goes round in a loop. The polling thread takes entries when they \
             are published: after a push, dropping the queue that `submission()` gave, or \
             its `sync()`, does that. Completions are seen after a `sync()` of the \
             completion queue; each call of `completion()` makes one."
        }
        Some(_) => {
            "The program goes round in a loop. To wait, let the kernel do it: \
             `submit_and_wait` sleeps until a completion is there."
        }
        None if done.summary.all_completions() > 0 => {
            "All that was submitted has completed and was taken, and the program goes \
             round in a loop: there is nothing left to wait for."
        }
        None => {
            "The program goes round in a loop, and has submitted nothing that \
             it could wait for."
        }
    }
    .to_string();
    if done.printed >= MUCH {
        rule.push_str(&format!(" It has printed {} bytes and more.", done.printed));
    }
    Hang { place: Place::Spin, now, rule }
}

fn pushed(ring: &RingNow) -> Hang {
    let count = ring.pushed;
    let entries = if count == 1 { "1 entry is".into() } else { format!("{count} entries are") };
    let but =
        if ring.polled { "the polling thread sleeps" } else { "the kernel does not know of it" };
    let now = format!("{entries} pushed, and {but}");
    let rule = if ring.polled {
        "The kernel thread that polls this ring has gone to sleep. `submit` sees that \
         (IORING_SQ_NEED_WAKEUP) and wakes it. A push does not, and an enter does so only with \
         IORING_ENTER_SQ_WAKEUP."
    } else {
        "A push only writes into memory that the kernel shares. The kernel looks at it when \
         `submit` (or `submit_and_wait`) calls io_uring_enter, and until then nothing can \
         complete."
    };
    Hang { place: Place::Pushed, now, rule: rule.to_string() }
}

/// Many of the last completions say the same, an error or the end of the input: the program tries
/// again and again.
fn repeated(done: &Done<'_>) -> Option<String> {
    const FEWEST: usize = 16;
    const LAST: usize = 400;
    let answers: Vec<_> = done.completes().collect();
    let last = &answers[answers.len().saturating_sub(LAST)..];
    let said = |it: &Complete| {
        let op = it.op.clone()?;
        let end = it.res == 0 && ["RECV", "READ"].contains(&op.as_str());
        Some((op, it.error.clone().or_else(|| end.then(|| "0, the end".to_string()))?))
    };
    let all: Vec<_> = last.iter().filter_map(|it| said(it)).collect();
    let often = |what: &(String, String)| all.iter().filter(|other| *other == what).count();
    let (op, what) = all
        .iter()
        .max_by_key(|what| often(what))
        .filter(|it| often(it) >= FEWEST.max(last.len() / 4))?;
    let advice = if what.starts_with('0') {
        "Where the input has ended, nothing more will come: close the connection."
    } else {
        "What has failed like this fails again: report it and end."
    };
    Some(format!(
        "Again and again a {op} is answered with {what}, and the program submits another one. \
         {advice}"
    ))
}

/// What a ring has in flight, and what it may have: entries that say nothing when they succeed.
fn in_flight(ring: &RingNow) -> String {
    const SHOWN: usize = 3;
    let surely = ring.in_flight.iter().map(|armed| (armed, ""));
    let maybe = ring.may_wait.iter().map(|armed| (armed, ", CQE_SKIP_SUCCESS"));
    let all: Vec<_> = surely.chain(maybe).collect();
    if all.is_empty() {
        return "nothing, as far as can be seen".to_string();
    }
    let mut names: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|(armed, silent)| format!("{} {}{silent}", armed.op, armed.words))
        .collect();
    if all.len() > SHOWN {
        names.push(format!("{} more", all.len() - SHOWN));
    }
    names.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_mostly_awake_is_caught_asleep() {
        // SAFETY: the child makes no call but usleep(3), which touches no memory of ours.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                let awake = Instant::now();
                while awake.elapsed() < Duration::from_millis(10) {}
                // SAFETY: as above.
                unsafe { libc::usleep(1000) };
            }
        }
        let summary = Summary::default();
        let done = Done { events: &[], summary: &summary, printed: 0 };
        let places: Vec<Place> =
            (0..20).map(|_| explain(&done, &[], child as u32, Kind::Still).place).collect();
        // SAFETY: a child of ours, which is not reaped yet.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        assert_eq!(places, [Place::Call; 20]);
    }
}
