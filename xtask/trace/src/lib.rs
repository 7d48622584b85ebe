//! What crosses the rings of a program, seen from outside: `ringtrace PROGRAM [ARGS…]`.
//!
//! The program runs unchanged under `ptrace`. It is stopped at its system calls; at
//! `io_uring_setup` the ring's descriptor is duplicated (`pidfd_getfd`) and mapped read-only,
//! at every `io_uring_enter` the new entries are read before the kernel takes them and the
//! new completions before the program sees them. From the outside in:
//!
//! - [`cli`] and its [`options`]: the command; [`text`], [`summary_text`] and [`json`]: the views;
//! - [`Trace`]: the same as a library, for checks that drive a program and ask what it did;
//! - [`tracer`]: the stops, on a thread of its own; [`shared`]: the other thread, which looks in
//!   between; [`launch`] starts the program, [`attach`] joins one that runs, [`filter`] is the fast
//!   mode;
//! - [`watch`]: the story: [`ring`] finds what is new in a ring's [`memory`], [`decode`] reads
//!   it, [`pairing`] finds the entry for a completion, [`describe`] says what it is about,
//!   with [`context`] for what it points at, [`registered`] for what it refers to, and [`codes`],
//!   [`flags`] and [`names`] for what it is called; [`event`] and [`summary`] are the result;
//! - [`ran`] concludes where an operation ran, with [`workers`] for the kernel's threads;
//!   [`tracepoints`] is the kernel's own record of the same, for root; [`times`] counts how
//!   long operations took;
//! - [`player`]: a trace as steps, which [`html`] makes a page of; [`perfetto`] is for that viewer;
//! - [`diagnosis`]: what is wrong with the program, from the same story; [`hang`] is the same
//!   for an exercise that does not end;
//! - [`ring_descriptors`] knows which descriptor is which ring, [`params`] and [`register`] the
//!   other two system calls, [`refused`] why there is no ring, [`threads`] what `/proc` shows,
//!   [`syscalls`] and [`sys`] the machine.

#[cfg(not(target_os = "linux"))]
compile_error!("this program needs Linux: io_uring is an interface of its kernel");

pub mod attach;
pub mod cli;
pub mod codes;
pub mod context;
pub mod decode;
pub mod describe;
pub mod diagnosis;
pub mod event;
pub mod filter;
pub mod flags;
pub mod hang;
pub mod html;
pub mod json;
pub mod launch;
pub mod memory;
pub mod names;
pub mod options;
pub mod pairing;
pub mod params;
pub mod perfetto;
pub mod player;
pub mod ran;
pub mod refused;
pub mod register;
pub mod registered;
pub mod ring;
pub mod ring_descriptors;
pub mod shared;
pub mod summary;
pub mod summary_text;
pub mod sys;
pub mod syscalls;
pub mod text;
pub mod threads;
pub mod times;
pub mod tracepoints;
pub mod tracer;
pub mod watch;
pub mod workers;
mod wrap;

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::environment::Refusal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use event::{Event, What};
use launch::{Launched, Program};
use ring::RingNow;
use shared::Shared;
use summary::Summary;
pub use sys::terminal_size;
use tracepoints::Tracepoints;
use tracer::Tracer;
use watch::{OtherCall, Sink, Watch};

/// How a trace ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The program's exit status; if a signal killed it, 128 plus the signal's number.
    pub status: i32,
    /// The totals.
    pub summary: Summary,
    /// Why the program never began.
    pub failure: Option<Refusal>,
}

/// A program that is being traced.
///
/// ```no_run
/// # use ringtrace::{Trace, launch::Program};
/// # use std::time::Duration;
/// let program = Program { program: "target/debug/day03".into(), ..Default::default() };
/// let trace = Trace::start(program, true, Vec::new()).expect("a traced day03");
/// trace.wait_for(Duration::from_secs(5), |events| events.len() > 10);
/// let (ended, events) = trace.stop(Duration::from_secs(2));
/// ```
#[derive(Debug)]
pub struct Trace {
    pid: Pid,
    shared: Arc<Shared>,
    kept: Arc<Kept>,
    tracer: JoinHandle<(i32, Option<Refusal>)>,
    looker: JoinHandle<()>,
}

/// The events so far, and a condition variable that signals new ones.
#[derive(Debug, Default)]
struct Kept {
    events: Mutex<Vec<Event>>,
    more: Condvar,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Sink for Arc<Kept> {
    fn take(&mut self, events: &[Event]) {
        // A check makes its own verdict; what the tracer finds is in the summary.
        let story = events.iter().filter(|event| !matches!(event.what, What::Diagnosis(_)));
        self.lock().extend(story.cloned());
        self.more.notify_all();
    }
}

impl Trace {
    /// Joins a program that runs already, and leaves it to the sinks to keep events.
    ///
    /// # Errors
    /// A [`Refusal`] that names the rule that forbids it.
    pub fn attach(
        process: i32,
        tokens: bool,
        sinks: Vec<Box<dyn Sink>>,
    ) -> Result<Trace, (Refusal, i32)> {
        Trace::begin(Subject::Running(process), tokens, sinks, false)
    }

    /// Starts a program under trace and keeps its events, to be asked for.
    ///
    /// `tokens` says that its `user_data` is made by `common::token`.
    ///
    /// # Errors
    /// A [`Refusal`] if it cannot be started or traced.
    pub fn start(
        program: Program,
        tokens: bool,
        sinks: Vec<Box<dyn Sink>>,
    ) -> Result<Trace, Refusal> {
        Trace::begin(Subject::Program(program), tokens, sinks, true).map_err(|(refusal, _)| refusal)
    }

    /// As [`Trace::start`], but leaves it to the sinks to keep events; with the exit status
    /// that a shell would give for the refusal.
    ///
    /// # Errors
    /// As [`Trace::start`].
    pub fn show(
        program: Program,
        tokens: bool,
        sinks: Vec<Box<dyn Sink>>,
    ) -> Result<Trace, (Refusal, i32)> {
        Trace::begin(Subject::Program(program), tokens, sinks, false)
    }

    fn begin(
        subject: Subject,
        tokens: bool,
        mut sinks: Vec<Box<dyn Sink>>,
        keep: bool,
    ) -> Result<Trace, (Refusal, i32)> {
        let kept = Arc::new(Kept::default());
        if keep {
            sinks.push(Box::new(Arc::clone(&kept)));
        }
        let shared = Arc::new(Shared::new(Watch::new(sinks, tokens)));
        if keep {
            shared.lock().keep_calls();
        }
        if matches!(&subject, Subject::Program(program) if program.tracepoints) {
            let tracepoints = Tracepoints::begin().map_err(|refusal| (refusal, 1))?;
            shared.lock().read_tracepoints(tracepoints);
        }
        let theirs = Arc::clone(&shared);
        // Before the program: a thread begun after it would take the number that the
        // program's first child has without a tracer.
        let looker = thread::spawn(move || theirs.look_in_between());
        let (started, start) = mpsc::channel();
        let ours = Arc::clone(&shared);
        // A tracee belongs to the thread that seized it, so that thread does everything.
        let tracer = thread::spawn(move || {
            let over = Over(&ours);
            match subject.trace(&ours) {
                Ok((pid, tracer, launched)) => {
                    let _ = started.send(Ok(pid));
                    let (status, began) = tracer.run();
                    drop(over);
                    match launched.filter(|_| !began).and_then(Launched::failure) {
                        Some((refusal, status)) => (status, Some(refusal)),
                        None => (status, None),
                    }
                }
                Err(refusal) => {
                    drop(over);
                    let _ = started.send(Err(refusal));
                    (launch::NOT_STARTED, None)
                }
            }
        });
        let pid = match start.recv() {
            Ok(Ok(pid)) => Pid::from_raw(pid),
            Ok(Err(refusal)) => return Err(refusal),
            Err(_) => unreachable!("the tracer's thread sends before it ends"),
        };
        Ok(Trace { pid, shared, kept, tracer, looker })
    }

    /// The program's process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends the program a signal. A program that has already ended is no error.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Lets go of a program that was joined; it goes on. A program that was started is killed.
    pub fn let_go(&self) {
        self.shared.leave();
    }

    /// The totals so far.
    pub fn summary(&self) -> Summary {
        self.shared.lock().summary.clone()
    }

    /// The calls so far that have nothing to do with rings; none in the fast mode.
    pub fn calls(&self) -> Vec<OtherCall> {
        self.shared.lock().calls().to_vec()
    }

    /// The rings that the program has open, as they are at this moment.
    pub fn rings(&self) -> Vec<RingNow> {
        self.shared.lock().now_all()
    }

    /// This moment, in microseconds since the trace began: the clock of the events.
    pub fn clock(&self) -> u64 {
        self.shared.lock().now()
    }

    /// How many events there are so far.
    pub fn happened(&self) -> usize {
        self.kept.lock().len()
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.kept.lock().clone()
    }

    /// Waits until the events so far satisfy `enough`; whether they did in time.
    pub fn wait_for(&self, patience: Duration, enough: impl Fn(&[Event]) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut events = self.kept.lock();
        loop {
            if enough(&events) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.kept.more.wait_timeout(events, left);
            events = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Whether the program and all that it started have ended.
    pub fn ended(&self) -> bool {
        self.tracer.is_finished()
    }

    /// Waits until the program and all that it started have ended.
    pub fn finish(self) -> Ended {
        let (status, failure) = self.tracer.join().unwrap_or((1, None));
        let _ = self.looker.join();
        let summary = self.shared.lock().summary.clone();
        Ended { status, summary, failure }
    }

    /// As [`Trace::finish`], with all that was recorded.
    pub fn finish_with_record(self) -> (Ended, Vec<Event>, Vec<OtherCall>) {
        let (kept, shared) = (Arc::clone(&self.kept), Arc::clone(&self.shared));
        let outcome = self.finish();
        let events = std::mem::take(&mut *kept.lock());
        let calls = shared.lock().calls().to_vec();
        (outcome, events, calls)
    }

    /// Asks the program to stop (SIGINT), kills it if it has not within `grace`, and returns how it
    /// ended, with all events.
    pub fn stop(self, grace: Duration) -> (Ended, Vec<Event>) {
        self.signal(Signal::SIGINT);
        let deadline = Instant::now() + grace;
        while !self.tracer.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        if !self.tracer.is_finished() {
            self.signal(Signal::SIGKILL);
        }
        let kept = Arc::clone(&self.kept);
        let outcome = self.finish();
        let events = std::mem::take(&mut *kept.lock());
        (outcome, events)
    }
}

/// What is traced.
enum Subject {
    /// A program to be started.
    Program(Program),
    /// A process that runs already.
    Running(i32),
}

/// Its process, who traces it, and how it was started, if it was.
type Begun = (i32, Tracer, Option<Launched>);

impl Subject {
    fn trace(self, shared: &Arc<Shared>) -> Result<Begun, (Refusal, i32)> {
        let shared = Arc::clone(shared);
        match self {
            Subject::Program(program) => {
                let fast = program.fast;
                shared.lock().summary.fast = fast;
                let launched = launch::launch(program)?;
                Ok((launched.pid, Tracer::new(shared, &launched, fast), Some(launched)))
            }
            Subject::Running(pid) => match Tracer::join(shared, pid) {
                Ok(tracer) => Ok((pid, tracer, None)),
                Err(refusal) => Err((refusal, 1)),
            },
        }
    }
}

/// Marks the trace as ended when it is dropped, so that no thread waits for more events, even if
/// the tracer's thread panics.
struct Over<'shared>(&'shared Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
