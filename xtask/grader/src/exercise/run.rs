//! A run of a learner's program: traces it, writes its input, reads its output, and always ends it.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2};

use ringtrace::event::{Event, What};
use ringtrace::launch::Program;
use ringtrace::summary::Summary;
use ringtrace::watch::RingNow;
use ringtrace::{Outcome, Trace};

use super::attempt::{self, Launch, Seen};
use super::failure::Failure;
use super::hang::{self, Stillness};
use super::ids;
use super::printed::Printed;
use super::record::Record;

/// The pause between two looks of a wait.
const LOOK: Duration = Duration::from_millis(5);
/// The longest time of a run.
const LONGEST: Duration = Duration::from_secs(120);

/// More entries and completions than any server needs for all its clients.
const MOST: u64 = 60_000;

/// Within this time a program becomes idle after its clients have got everything.
const SETTLES: Duration = Duration::from_secs(20);

static ALONE: AtomicBool = AtomicBool::new(false);

/// Declares that all processes to which this one may send signals come from its programs, so that
/// the end of a run kills them. Only the first process of a namespace may call it, or a process
/// with its own user. The reason: a program can start a process that no tracer sees
/// (`CLONE_UNTRACED`).
pub fn all_others_are_programs() {
    ALONE.store(true, Ordering::Relaxed);
}

/// A running program. Dropping this value kills it and all processes that it started.
#[derive(Debug)]
pub struct Run {
    /// `Some` until the run has ended.
    trace: Option<Trace>,
    /// The record, once the run has ended.
    done: Option<Record>,
    pid: Pid,
    stdout: Printed,
    stderr: Printed,
    stdout_is: String,
    stderr_is: String,
    did: String,
    patience: Duration,
    events: usize,
    began: Instant,
    address: Option<SocketAddr>,
    slots_before: Vec<u32>,
    burnt: Duration,
    seen: Arc<Mutex<Seen>>,
}

/// The file of one of our descriptors.
fn file_of(fd: &OwnedFd) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    link.map_or_else(|_| String::new(), |file| file.display().to_string())
}

impl Run {
    pub(super) fn start(launch: Launch) -> Result<Run, Failure> {
        let broken = |error: nix::Error| Failure::not_observed(format!("no pipe: {error}"));
        let (stdin, feed) = pipe2(OFlag::O_CLOEXEC).map_err(broken)?;
        let (out, pipe) = pipe2(OFlag::O_CLOEXEC).map_err(broken)?;
        let stdout = launch.stdout.map_or(pipe, OwnedFd::from);
        let (err, stderr) = pipe2(OFlag::O_CLOEXEC).map_err(broken)?;
        let (stdout_is, stderr_is) = (file_of(&stdout), file_of(&stderr));
        let program = Program {
            program: launch.program.into_os_string(),
            args: launch.args,
            env: launch.env,
            unset: attempt::unset(),
            file_limit: launch.file_limit,
            denied: launch.denied,
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
            fast: launch.fast,
            tracepoints: false,
        };
        // The exercises use the tokens of `common::token`, like the days.
        let trace = Trace::start(program, true, Vec::new())
            .map_err(|refusal| Failure::not_observed(refusal.to_string()))?;
        let (stdout, stderr) = (Printed::new(out), Printed::new(err));
        let bytes = launch.stdin;
        // If the program does not read its input, the thread ends when the pipe breaks.
        thread::spawn(move || File::from(feed).write_all(&bytes));
        Ok(Run {
            pid: trace.pid(),
            trace: Some(trace),
            done: None,
            stdout,
            stderr,
            stdout_is,
            stderr_is,
            did: launch.did,
            patience: launch.patience,
            events: launch.events,
            began: Instant::now(),
            address: None,
            slots_before: Vec::new(),
            burnt: Duration::ZERO,
            seen: launch.seen,
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Sets what the client has done, in the words of a verdict.
    pub fn did(&mut self, did: impl Into<String>) {
        self.did = did.into();
    }

    /// Whether it has ended by itself.
    pub fn ended(&self) -> bool {
        self.trace.as_ref().is_none_or(Trace::ended)
    }

    /// The record so far.
    pub fn record(&self) -> Record {
        let Some(trace) = &self.trace else { return self.done.clone().unwrap_or_default() };
        Record {
            events: trace.events(),
            calls: trace.calls(),
            summary: trace.summary(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            stdout_is: self.stdout_is.clone(),
            stderr_is: self.stderr_is.clone(),
            status: None,
            did: self.did.clone(),
            burnt: self.burnt,
        }
    }

    /// The totals so far. Cheaper than the whole record.
    pub fn summary(&self) -> Summary {
        match (&self.trace, &self.done) {
            (Some(trace), _) => trace.summary(),
            (None, done) => done.as_ref().map(|it| it.summary.clone()).unwrap_or_default(),
        }
    }

    /// Its open rings at this moment.
    pub fn rings(&self) -> Vec<RingNow> {
        self.trace.as_ref().map(Trace::rings).unwrap_or_default()
    }

    /// Its output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// The slots that are taken in its rings' registered file tables.
    ///
    /// # Errors
    /// Not observed, if the kernel does not list them.
    pub fn slots(&self) -> Result<Vec<u32>, Failure> {
        testkit::ring_slots(self.pid())
            .map_err(|error| Failure::not_observed(format!("the taken slots: {error}")))
    }

    /// Its open descriptors and their files.
    ///
    /// # Errors
    /// Not observed, if the kernel does not list them.
    pub fn descriptors(&self) -> Result<std::collections::BTreeMap<i32, String>, Failure> {
        testkit::descriptors(self.pid())
            .map_err(|error| Failure::not_observed(format!("the open descriptors: {error}")))
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        if let Some(trace) = &self.trace {
            trace.signal(signal);
        }
    }

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
                let record = self.over();
                record.need_exit()?;
                return Err(record
                    .fail(ids::ENDED_EARLY)
                    .kernel(record.last_lines(|_| true))
                    .rule(
                        "The program ended with status 0 before the check was over. It must run \
                           on.",
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
            Some(kind) => Err(hang::explain(&self.record(), &self.rings(), self.pid(), kind)),
            None => Ok(()),
        }
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
        Err(hang::explain(&self.record(), &self.rings(), self.pid(), hang::Kind::Endless))
    }

    /// Waits until the events satisfy `enough`.
    ///
    /// # Errors
    /// As [`Run::until`].
    pub fn until_events(&mut self, enough: impl Fn(&[Event]) -> bool) -> Result<(), Failure> {
        self.until(|run| Ok(enough(&run.record().events).then_some(())))
    }

    /// Waits for a server's line `listening on 127.0.0.1:PORT`. Returns the address.
    ///
    /// # Errors
    /// `E-NO-LISTENER` if it prints no such line although it has started; otherwise as
    /// [`Run::until`].
    pub fn listening(&mut self) -> Result<SocketAddr, Failure> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let found = self.until(|run| {
            let text = run.stdout();
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            let line = complete.lines().find_map(|line| line.trim().strip_prefix("listening on "));
            match line.map(|address| address.trim().parse()) {
                None => Ok(None),
                Some(Ok(address)) => Ok(Some(address)),
                Some(Err(_)) => Err(run.no_listener()),
            }
        });
        let address = match found {
            Ok(address) => address,
            Err(failure) if failure.id == ids::ENDED_EARLY => {
                // The first part explains both a missing ring and a missing line.
                let record = self.over();
                record.need_ring()?;
                return Err(self.no_listener());
            }
            Err(failure) => {
                let record = self.record();
                // It hangs before it listens. Most likely it listens, but printed no line.
                let quiet = [ids::HANG_IN_FLIGHT, ids::HANG_CALL].contains(&failure.id);
                return Err(if quiet && !record.stdout.contains("listening on") {
                    self.no_listener()
                } else {
                    failure
                });
            }
        };
        self.address = Some(address);
        self.slots_before = self.slots().unwrap_or_default();
        Ok(address)
    }

    /// The slots that were taken when it printed its address, before the first client.
    pub fn slots_before(&self) -> &[u32] {
        &self.slots_before
    }

    /// This moment by the record's clock, in microseconds.
    pub fn clock(&self) -> u64 {
        self.trace.as_ref().map_or(u64::MAX, Trace::clock)
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> Duration {
        hang::cpu(self.pid())
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

    fn no_listener(&self) -> Failure {
        let printed = self.stdout();
        let said = match printed.lines().next() {
            Some(line) => format!("it printed: {line}"),
            None => "it printed nothing".to_string(),
        };
        Failure::new(ids::NO_LISTENER, self.did.clone()).kernel([said]).rule(
            "Print one line, `listening on 127.0.0.1:PORT` with the real port, as soon as clients \
             may connect.",
        )
    }

    /// Connects a client, with the run's patience for every read and write.
    ///
    /// # Errors
    /// `E-NO-LISTENER` if no socket listens there; otherwise as [`Run::listening`].
    pub fn connect(&mut self) -> Result<TcpStream, Failure> {
        let address = self.listening()?;
        self.need_an_end()?;
        let patience = Some(self.patience);
        let connected = TcpStream::connect_timeout(&address, self.patience).and_then(|stream| {
            stream.set_read_timeout(patience)?;
            stream.set_write_timeout(patience)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        connected.map_err(|error| {
            // A program that is ending closes its listener first.
            if testkit::holds_within(Duration::from_secs(1), || self.ended()) {
                let did = self.did.clone();
                return self.trouble(did, &error);
            }
            Failure::new(ids::NO_LISTENER, format!("A client connects to {address}: {error}"))
                .kernel(self.record().last_lines(|_| true))
                .rule("No socket listens at the address that the program prints.")
        })
    }

    /// Explains why a client's read or write failed: the program has ended, hangs, or reset the
    /// connection. `did` says what the client did, in the words of a verdict.
    pub fn trouble(&mut self, did: impl Into<String>, error: &io::Error) -> Failure {
        self.did(did);
        if self.ended() {
            let record = self.over();
            return record.need_exit().err().unwrap_or_else(|| {
                record
                    .fail(ids::ENDED_EARLY)
                    .kernel(record.last_lines(|_| true))
                    .rule("The program ended while clients were still connected.")
            });
        }
        if let Err(endless) = self.need_an_end() {
            return endless;
        }
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.no_answer(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                let record = self.record();
                let lines = record.last_lines(|what| !matches!(what, What::Task(_)));
                Failure::new(ids::RESET, self.did.clone())
                    .kernel(lines.into_iter().chain(record.lingers()))
                    .rule(record.why_reset())
            }
            io::ErrorKind::UnexpectedEof => Failure::new(ids::NO_ANSWER, self.did.clone())
                .kernel(self.record().last_lines(|what| !matches!(what, What::Task(_))))
                .rule("The program closed the connection before the client had the whole answer."),
            _ => Failure::new(ids::NO_ANSWER, format!("{} It got: {error}.", self.did))
                .kernel(self.record().last_lines(|what| !matches!(what, What::Task(_))))
                .rule("The client's connection broke."),
        }
    }

    /// Explains why a client got no answer, as far as the record shows.
    pub fn no_answer(&mut self) -> Failure {
        let mut failure =
            hang::explain(&self.record(), &self.rings(), self.pid(), hang::Kind::Still);
        if failure.id == ids::HANG_WAIT {
            failure.id = ids::NO_ANSWER;
            failure.rule = "A client waits, but neither an accept nor a receive is in flight for \
                            it."
            .to_string();
        }
        let rings = self.rings();
        let mut inside = rings.iter().flat_map(|ring| ring.inside.iter().zip(Some(ring.unreaped)));
        let for_more = inside.find(|(enter, there)| {
            (1..enter.min_complete).contains(there) && enter.at_most_us.is_none()
        });
        // A server may wait for a client, so the hang is only a missing answer.
        if let (ids::HANG_IN_FLIGHT, Some((enter, there))) = (failure.id, for_more) {
            failure.id = ids::HANG_NOT_REAPED;
            failure.rule = format!(
                "The program waits for {} completions at once, and does not take the {there} that \
                 came. Wait for one (`submit_and_wait(1)`), and then take all in the queue.",
                enter.min_complete
            );
        } else if failure.id == ids::HANG_IN_FLIGHT {
            failure.id = ids::NO_ANSWER;
            failure.rule =
                "The client waits, but no operation in flight will lead to its answer.".to_string();
        }
        failure
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

    fn kill_all(&self) {
        let Some(trace) = &self.trace else { return };
        let _ = kill(self.pid, Signal::SIGKILL);
        // Its child processes, and theirs.
        while !trace.ended() {
            kill_others();
            for event in trace.events() {
                match &event.what {
                    What::Task(task) if task.process && is_traced_by_us(task.new) => {
                        let _ = kill(Pid::from_raw(task.new), Signal::SIGKILL);
                    }
                    _ => {}
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// Ends the run and completes the record. May be called again.
    fn over(&mut self) -> Record {
        let Some(trace) = self.trace.take() else { return self.record() };
        // They may keep the pipes of its output open.
        kill_others();
        let (Outcome { status, summary, .. }, events, calls) = trace.finish_with_record();
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        let record = Record {
            events,
            calls,
            summary,
            stdout,
            stderr,
            stdout_is: self.stdout_is.clone(),
            stderr_is: self.stderr_is.clone(),
            status: Some(status),
            did: self.did.clone(),
            burnt: self.burnt,
        };
        attempt::lock(&self.seen).over(&record);
        self.done = Some(record.clone());
        record
    }
}

/// Kills all other processes, if all of them are the program's.
pub fn kill_others() {
    if ALONE.load(Ordering::Relaxed) {
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    }
}

/// Whether a process is still the one that we trace, and not a new one with the same number.
fn is_traced_by_us(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap_or("0");
    Path::new("/proc/self/task").join(tracer.trim()).exists() && tracer.trim() != "0"
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.trace.is_some() {
            self.kill_all();
            let _ = self.over();
        }
    }
}
