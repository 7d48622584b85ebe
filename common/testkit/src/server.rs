//! A running day that serves clients.

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::log::{First, Lines, Log};
use super::process::{is_stopped, ring_slots};
use super::program::{LAST_WORDS, cannot_start, exit_within, heed_stop_signals, in_words};
use super::{PATIENCE, wait_until};

/// A day that runs as a child process with `--json` and listens. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<Log>,
    patience: Duration,
}

/// How a server ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// Its exit status, or the signal that ended it.
    pub status: ExitStatus,
    /// Everything it printed, in order, the summary included.
    pub events: Vec<Value>,
    /// Its last event if that is the summary; otherwise null.
    pub summary: Value,
    /// What it printed to the standard error.
    pub stderr: String,
}

impl Stopped {
    /// A count of the summary.
    ///
    /// # Panics
    /// If the summary has no count of that name.
    pub fn count(&self, name: &str) -> u64 {
        self.summary[name].as_u64().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Asserts that it ended as it should: exit code 0, a summary, and nothing on standard error.
    ///
    /// # Panics
    /// If it did not.
    pub fn well(self) -> Stopped {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        assert!(self.summary.is_object(), "no summary: {self:?}");
        assert_eq!(self.stderr, "", "{self:?}");
        self
    }
}

/// A server that ended before it listened: it cannot run here, or its arguments are wrong.
#[derive(Clone, Debug)]
pub struct EndedEarly {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed to the standard error, without the line's end.
    pub stderr: String,
}

impl fmt::Display for EndedEarly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it ended before it listened ({}):\n{}", in_words(self.status), self.stderr)
    }
}

impl std::error::Error for EndedEarly {}

impl Server {
    /// Starts `command`, which must have `--json`, and waits until it listens. Both its
    /// outputs are read by threads, so a full pipe never stops it.
    ///
    /// # Errors
    /// [`EndedEarly`] if it exits instead, with what it wrote to the standard error. Another
    /// error if it cannot be started, or says something else or nothing within [`PATIENCE`].
    pub fn start(command: Command) -> Result<Server> {
        Server::start_within(command, PATIENCE)
    }

    /// Starts `command` as [`Server::start`] does; it, its end and its clients' reads and
    /// writes may take as long as `patience`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_within(mut command: Command, patience: Duration) -> Result<Server> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        heed_stop_signals(&mut command);
        let mut child = command.spawn().with_context(|| cannot_start(&command))?;
        let log = Log::follow(&mut child);
        // From here on a failure drops the server, which ends the child.
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Server { child, address, log, patience };
        match server.log.first_line(patience) {
            First::Event(event) => {
                server.address = listening(&event)?;
                Ok(server)
            }
            First::Strange(line) => bail!("it printed a line that is not a JSON object: {line:?}"),
            First::End => {
                let status = server.exit_status()?;
                let stderr = server.log.end(LAST_WORDS).stderr.trim_end().to_string();
                Err(EndedEarly { status, stderr }.into())
            }
            First::Silence => bail!("it said nothing within {} s", patience.as_secs()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client's connection, whose reads and writes give up after [`PATIENCE`].
    ///
    /// # Errors
    /// If the server does not take it.
    pub fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        Ok(stream)
    }

    /// The first event that it printed: `listening`.
    pub fn listening(&self) -> Value {
        self.log.lock().events[0].clone()
    }

    /// What it has printed so far.
    pub fn events(&self) -> Vec<Value> {
        self.log.lock().events.clone()
    }

    /// What it has printed to the standard error so far.
    pub fn stderr(&self) -> String {
        self.log.lock().stderr.clone()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its exit status, if it ended by itself or does so within `patience`.
    pub fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let status = exit_within(&mut self.child, patience).ok().flatten()?;
        self.log.end(LAST_WORDS);
        Some(status)
    }

    /// Sends it a signal, unless it has already ended.
    pub fn signal(&self, signal: Signal) {
        // The child is reaped only by this server, so the id cannot be another process's.
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
    }

    /// Stops it as Ctrl-Z does (SIGSTOP), and returns when it has stopped. Clients can still
    /// connect and send: the kernel keeps them in the backlog.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        wait_until("the server stops", || is_stopped(self.pid()));
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits until no client is in a slot.
    ///
    /// # Panics
    /// If that never happens.
    pub fn wait_until_empty(&self) {
        wait_until("every slot is free", || {
            ring_slots(self.pid()).expect("the server has a ring").is_empty()
        });
    }

    /// Sends it a signal and waits for its end.
    ///
    /// # Errors
    /// If it has not ended in time (it is killed then), or printed a line that is
    /// no JSON object. The exit status is the caller's to judge.
    pub fn stop(self, signal: Signal) -> Result<Stopped> {
        self.signal(signal);
        let late = format!("it still runs {} s after {signal}", self.patience.as_secs());
        self.finish(&late)
    }

    /// Waits for its end without asking for it, as for a server with `--max`.
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub fn wait(self) -> Result<Stopped> {
        let late = format!("it still runs after {} s", self.patience.as_secs());
        self.finish(&late)
    }

    fn finish(mut self, late: &str) -> Result<Stopped> {
        let status = self.exit_status().map_err(|_| anyhow!("{late}; it was killed"))?;
        let Lines { events, strange, stderr, .. } = self.log.end(LAST_WORDS);
        if let Some(line) = strange {
            bail!("it printed a line that is not a JSON object: {line:?}");
        }
        let summary = match events.last() {
            Some(last) if last["event"] == "summary" => last.clone(),
            _ => Value::Null,
        };
        Ok(Stopped { status, events, summary, stderr })
    }

    /// Its exit status, if it ends in time.
    fn exit_status(&mut self) -> Result<ExitStatus> {
        exit_within(&mut self.child, self.patience)?.context("it still runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both do nothing if it was reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn listening(event: &Value) -> Result<SocketAddr> {
    let address = (event["event"] == "listening").then(|| event["address"].as_str()).flatten();
    let address = address.with_context(|| {
        format!("expected the event \"listening\" with an address first, got {event}")
    })?;
    address.parse().with_context(|| format!("it listens on {address:?}, which is not an address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for a day: a shell that prints what a server prints.
    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const LISTENING: &str = r#"echo '{"event":"listening","address":"127.0.0.1:4"}'"#;

    #[test]
    fn a_server_is_started_asked_to_stop_and_heard_to_the_end() {
        let script = format!(
            "trap 'echo oops >&2; echo {{\\\"event\\\":\\\"summary\\\",\\\"clients\\\":3}}; \
             exit 7' TERM; {LISTENING}; while :; do sleep 0.01; done"
        );
        let mut server = Server::start(shell(&script)).unwrap();
        assert_eq!(server.address(), "127.0.0.1:4".parse().unwrap());
        assert_eq!(server.listening()["event"], "listening");
        assert!(server.is_running());
        let stopped = server.stop(Signal::SIGTERM).unwrap();
        assert_eq!(stopped.status.code(), Some(7));
        assert_eq!(stopped.summary["clients"], 3);
        assert_eq!(stopped.events.len(), 2);
        assert_eq!(stopped.stderr, "oops\n");
    }

    #[test]
    fn one_that_ends_first_is_quoted() {
        let error = Server::start(shell("echo no ring here >&2; exit 1")).unwrap_err();
        let early = error.downcast_ref::<EndedEarly>().unwrap();
        assert_eq!(early.status.code(), Some(1));
        assert_eq!(error.to_string(), "it ended before it listened (exit status 1):\nno ring here");
    }

    #[test]
    fn one_that_says_something_else_is_quoted() {
        for (script, quoted) in [
            ("echo hello; exec sleep 60", "not a JSON object: \"hello\""),
            (r#"echo '{"event":"accepted"}'; exec sleep 60"#, r#"got {"event":"accepted"}"#),
            (r#"echo '{"event":"listening","address":"there"}'; exec sleep 60"#, "\"there\""),
        ] {
            let error = Server::start(shell(&format!("exec 2>&-; {script}"))).unwrap_err();
            assert!(error.to_string().contains(quoted), "{error:#}");
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Server::start(Command::new("/nowhere/day03")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /nowhere/day03");
    }

    #[test]
    fn without_a_summary_at_the_end_there_is_none() {
        let stopped = Server::start(shell(LISTENING)).unwrap().wait().unwrap();
        assert!(stopped.summary.is_null());
        assert!(stopped.status.success());
    }

    #[test]
    fn a_signal_that_ended_it_is_named() {
        let server = Server::start(shell(&format!("{LISTENING}; exec sleep 60"))).unwrap();
        let stopped = server.stop(Signal::SIGTERM).unwrap();
        assert_eq!(in_words(stopped.status), "killed by SIGTERM");
    }

    #[test]
    fn one_that_ends_unasked_is_noticed() {
        let mut server =
            Server::start(shell(&format!("{LISTENING}; echo ouch >&2; exit 9"))).unwrap();
        assert_eq!(server.ended(PATIENCE).unwrap().code(), Some(9));
        assert_eq!(server.stderr(), "ouch\n");
        let mut server = Server::start(shell(&format!("{LISTENING}; exec sleep 60"))).unwrap();
        assert_eq!(server.ended(Duration::ZERO), None);
    }

    #[test]
    fn a_paused_server_goes_on_when_it_is_resumed() {
        let script = format!("{LISTENING}; read line; exit 3");
        let mut command = shell(&script);
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        command.stdin(reader);
        let mut server = Server::start(command).unwrap();
        server.pause();
        drop(writer);
        assert!(server.is_running());
        server.resume();
        assert_eq!(server.wait().unwrap().status.code(), Some(3));
    }

    #[test]
    fn a_dropped_server_is_dead() {
        let server = Server::start(shell(&format!("{LISTENING}; exec sleep 60"))).unwrap();
        let pid = Pid::from_raw(server.pid() as i32);
        drop(server);
        assert_eq!(kill(pid, None), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn a_talkative_server_is_never_stopped_by_a_full_pipe() {
        let script = format!(
            "{LISTENING}; i=0; while [ $i -lt 5000 ]; do \
             echo '{{\"event\":\"accepted\",\"slot\":1,\"filler\":\"................\"}}'; \
             echo filler filler filler >&2; i=$((i+1)); done"
        );
        let stopped = Server::start(shell(&script)).unwrap().wait().unwrap();
        assert_eq!(stopped.events.len(), 5001);
        assert_eq!(stopped.stderr.lines().count(), 5000);
    }
}
