//! Waiting for a program: until it has done something, sleeps, or has ended.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ringtrace::Trace;
use ringtrace::event::Event;

use super::{LOOK, Run};
use crate::exercise::failure::Failure;
use crate::exercise::hang::{self, Kind, Stillness};
use crate::exercise::ids;
use crate::exercise::record::Record;

/// The longest time of a run.
const LONGEST: Duration = Duration::from_secs(120);

/// More entries and completions than any server needs for all its clients.
const MOST: u64 = 60_000;

/// Within this time a program becomes idle after its clients have got everything.
const SETTLES: Duration = Duration::from_secs(20);

impl Run {
    /// Calls `ask` until it returns a value.
    ///
    /// # Errors
    /// The error of `ask`. `E-ENDED-EARLY` (or a panic, a signal, an exit status) if the program
    /// ends first; an explained hang if it stands still for too long.
    pub fn until<T>(
        &mut self,
        mut ask: impl FnMut(&Run) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let mut still = Stillness::new(self.patience, self.events);
        loop {
            // Before `ask`, so that the last output of a program that has ended is there.
            let ended = self.ended();
            if let Some(answer) = ask(self)? {
                return Ok(answer);
            }
            if ended {
                return Err(self.ended_early(
                    "The program ended with status 0 before the check was over. It must run on.",
                ));
            }
            self.hangs(&mut still)?;
            thread::sleep(LOOK);
        }
    }

    /// Fails if the program has stopped making progress.
    fn hangs(&self, still: &mut Stillness) -> Result<(), Failure> {
        let Some(trace) = &self.trace else { return Ok(()) };
        let printed = self.stdout.length() + self.stderr.length();
        let long = self.began.elapsed() > LONGEST;
        match still.verdict(self.pid(), trace, printed, long) {
            Some(kind) => Err(self.explain(kind)),
            None => Ok(()),
        }
    }

    /// Explains a hang of this kind.
    pub(super) fn explain(&self, kind: Kind) -> Failure {
        hang::explain(&self.record(), &self.rings(), self.pid(), kind)
    }

    /// Whether it has had more events than all clients together can cause.
    fn overdoes(&self) -> bool {
        let summary = self.summary();
        summary.all_entries() + summary.all_completions() > MOST
    }

    /// Fails if the program submits entries endlessly that no client caused: every wait would only
    /// make the record longer.
    ///
    /// # Errors
    /// `E-SPIN`.
    pub fn need_an_end(&self) -> Result<(), Failure> {
        if !self.overdoes() {
            return Ok(());
        }
        Err(self.explain(Kind::Endless))
    }

    /// Waits until the events satisfy `enough`.
    ///
    /// # Errors
    /// As [`Run::until`].
    pub fn until_events(&mut self, enough: impl Fn(&[Event]) -> bool) -> Result<(), Failure> {
        self.until(|run| Ok(enough(&run.record().events).then_some(())))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// An explained hang if it does not end. The record judges how it ended.
    pub fn end(mut self) -> Result<Record, Failure> {
        let mut still = Stillness::new(self.patience, self.events);
        while !self.ended() {
            self.hangs(&mut still)?;
            thread::sleep(LOOK);
        }
        Ok(self.over())
    }

    /// Sends SIGINT, and kills the program if it does not end in time. Returns the record. For
    /// programs whose end is not part of the exercise.
    pub fn stop(mut self) -> Record {
        self.signal(Signal::SIGINT);
        let deadline = Instant::now() + Duration::from_millis(500);
        while !self.ended() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        self.kill_all();
        self.over()
    }

    /// Sends SIGINT; the program must then end by itself.
    ///
    /// # Errors
    /// `E-STOP` if it does not end.
    pub fn interrupt(self) -> Result<Record, Failure> {
        self.signal(Signal::SIGINT);
        self.stopped()
    }

    /// Waits for the end of a program that got SIGINT.
    ///
    /// # Errors
    /// As [`Run::interrupt`].
    pub fn stopped(self) -> Result<Record, Failure> {
        self.end().map_err(|failure| {
            let rule = format!("The program got SIGINT and did not end. {}", failure.rule);
            Failure { id: ids::STOP, rule, ..failure }
        })
    }

    /// Watches the program for a moment in which it can only wait, and notes the CPU time that it
    /// uses then. Returns sooner if it ends.
    pub fn idles(&mut self) {
        const TIME: Duration = Duration::from_millis(200);
        let before = self.cpu();
        let (mut looks, mut awake, mut cpu) = (0, 0, before);
        testkit::holds_within(TIME, || {
            // A starved program is awake, and uses no CPU time.
            awake += u32::from(!hang::sleeps(self.pid()));
            looks += 1;
            cpu = self.cpu().max(cpu);
            self.ended()
        });
        if awake * 2 > looks {
            self.burnt += cpu - before;
        }
    }

    /// Waits until the program is idle: for a while no completion without an error has come, and
    /// all its threads sleep, or spin. Returns whether it was idle in time; a busy machine takes
    /// longer.
    pub fn settles(&self) -> bool {
        const QUIET: Duration = Duration::from_millis(200);
        const BURNT: Duration = Duration::from_millis(100);
        let done = || {
            let completions = self.trace.as_ref().map(Trace::summary).unwrap_or_default();
            completions.completions.values().map(|them| them.count - them.errors).sum::<u64>()
        };
        let (mut last, mut since, mut burnt) = (done(), Instant::now(), self.cpu());
        testkit::holds_within(SETTLES, || {
            let now = done();
            if now != last {
                (last, since, burnt) = (now, Instant::now(), self.cpu());
            }
            let rests = hang::sleeps(self.pid()) || self.cpu().saturating_sub(burnt) >= BURNT;
            self.ended() || self.overdoes() || since.elapsed() >= QUIET && rests
        })
    }
}
