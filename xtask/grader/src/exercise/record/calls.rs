//! The system calls that a program makes beside its rings.

use super::Record;
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use ringtrace::describe::socket_option;
use ringtrace::event::What;
use ringtrace::watch::OtherCall;

/// System calls in which a program waits.
pub const WAITS: &[&str] = &[
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "nanosleep",
    "clock_nanosleep",
    "rt_sigtimedwait",
    "io_getevents",
    "io_pgetevents",
    "pause",
    "wait4",
    "waitid",
];

/// System calls that the loader and the runtime also make, before the program's own code begins.
const LOADERS: &[&str] = &["close", "fcntl", "ioctl", "open", "openat", "poll", "pread64", "read"];

/// A socket option that the program has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOption {
    /// `SO_SNDBUF` and so on.
    pub name: String,
    /// The line for a verdict.
    pub line: String,
}

impl Record {
    /// The other system calls with these names, from the beginning of the program. Calls that the
    /// loader also makes count only after the first setup of a ring. Writes to the standard error
    /// do not count.
    pub fn plain_calls(&self, names: &[&str]) -> Vec<&OtherCall> {
        let ring = |what: &What| matches!(what, What::Setup(setup) if setup.granted.is_some());
        let since = self.events.iter().find(|event| ring(&event.what)).map(|event| event.us);
        let own = |call: &OtherCall| {
            !LOADERS.contains(&call.name.as_str()) || since.is_some_and(|since| call.us >= since)
        };
        self.calls
            .iter()
            .filter(|call| names.contains(&call.name.as_str()) && own(call))
            .filter(|call| !self.to_stderr(call))
            .collect()
    }

    fn to_stderr(&self, call: &OtherCall) -> bool {
        match &call.into {
            Some(file) => *file == self.stderr_is && self.stderr_is != self.stdout_is,
            None => call.name.starts_with("write") && call.args[0] == 2,
        }
    }

    /// The plain calls that write to a file, by any descriptor. The file is a path, or
    /// [`Record::stdout_is`].
    pub fn plain_writes_into(&self, file: &str) -> Vec<&OtherCall> {
        let real = std::fs::canonicalize(file);
        let real = real.map_or_else(|_| file.to_string(), |path| path.display().to_string());
        let into = |call: &&OtherCall| call.into.as_ref() == Some(&real);
        self.calls.iter().filter(into).collect()
    }

    /// The plain calls that move bytes over a connection, by any descriptor: also by a copy, or by
    /// one that the ring made of a slot. Sockets of `unix(7)` do not count.
    pub fn plain_talk(&self) -> Vec<&OtherCall> {
        let socket =
            |file: &Option<String>| file.as_ref().is_some_and(|file| file.starts_with("socket:"));
        let reads = ["read", "pread64", "preadv", "recv", "splice", "tee", "sendfile"];
        let talks = |call: &&OtherCall| {
            let reads = reads.iter().any(|name| call.name.starts_with(name));
            socket(&call.into) || reads && socket(&call.of)
        };
        self.calls.iter().filter(talks).collect()
    }

    /// The other calls between two moments, in microseconds of the record's clock.
    pub fn calls_between(&self, from: u64, to: u64) -> impl Iterator<Item = &OtherCall> {
        self.calls.iter().filter(move |call| (from..to).contains(&call.us))
    }

    /// How often the program waited in the kernel between two moments: in an enter that asks for
    /// completions, whether it has returned or not, or in another call that waits ([`WAITS`]).
    pub fn waits_between(&self, from: u64, to: u64) -> usize {
        let within = |us: u64| (from..to).contains(&us);
        let asks = |what: &What| matches!(what, What::Enter(enter) if enter.min_complete > 0);
        let enters = self.events.iter().filter(|event| within(event.us) && asks(&event.what));
        let others = self.calls_between(from, to);
        enters.count() + others.filter(|call| WAITS.contains(&call.name.as_str())).count()
    }

    /// The socket options that the program has set, by `setsockopt(2)` and by entries.
    pub fn socket_options(&self) -> Vec<SocketOption> {
        let by_call = self.calls.iter().filter(|call| call.name == "setsockopt").map(|call| {
            let name = socket_option(call.args[1] as u32, call.args[2] as u32);
            let line = format!("system call setsockopt, {name}");
            SocketOption { name, line }
        });
        let by_entry = self.submits().filter_map(|submit| {
            let text = |key: &str| submit.details.get(key).and_then(serde_json::Value::as_str);
            let sets = text("command_name") == Some("SETSOCKOPT");
            let name = text("option").filter(|_| sets)?.to_string();
            Some(SocketOption { name, line: format!("{} {}", submit.op, submit.words) })
        });
        by_call.chain(by_entry).collect()
    }

    /// The line for SO_LINGER, if the program has set it.
    pub fn lingers(&self) -> Option<String> {
        let mut options = self.socket_options().into_iter();
        options.find(|option| option.name == "SO_LINGER").map(|option| option.line)
    }

    /// Explains why a client's connection was reset, as far as the record shows.
    pub fn why_reset(&self) -> &'static str {
        match self.lingers() {
            Some(_) => {
                "The client's connection was reset. The program has set SO_LINGER: with a time of \
                 0 a close discards the unsent bytes, and resets the connection."
            }
            None => {
                "The client's connection was reset. That happens when the program closes a socket \
                 with unread input, or ends with the socket open."
            }
        }
    }

    /// Fails if the program made one of these system calls, as [`Record::plain_calls`] counts them.
    ///
    /// # Errors
    /// `E-NO-RING`, `E-NOT-THROUGH-RING`; not observed in the fast mode.
    pub fn need_no_plain(&self, names: &[&str]) -> Result<(), Failure> {
        if self.summary.fast {
            return Err(Failure::not_observed("other system calls were not recorded"));
        }
        self.need_ring()?;
        let calls = self.plain_calls(names);
        let Some(first) = calls.first() else { return Ok(()) };
        let count = calls.iter().filter(|call| call.name == first.name).count();
        let name = &first.name;
        Err(self
            .fail(ids::NOT_THROUGH_RING)
            .kernel([format!(
                "system call {name}, {count} times; the first with {}",
                first.args[0]
            )])
            .rule(format!(
                "The program must do this by an entry of the ring, not by the system call \
                 {name}(2)."
            )))
    }

    /// Fails if the program used calls or tasks that no check can see. Every run of a passing
    /// program is checked for this.
    pub fn out_of_sight(&self) -> Option<Failure> {
        let fail = |line: String, rule: &str| {
            Some(self.fail(ids::NOT_THROUGH_RING).kernel([line]).rule(rule))
        };
        if self.summary.untraced > 0 {
            return fail(
                format!("tasks started with CLONE_UNTRACED: {}", self.summary.untraced),
                "The tracer cannot see what such a task does outside the ring. Start none.",
            );
        }
        if self.summary.foreign_calls > 0 {
            return fail(
                format!("system calls of a 32-bit program: {}", self.summary.foreign_calls),
                "The program makes system calls by another convention than this machine's (`int \
                 0x80`). Make none.",
            );
        }
        if let Some(call) = self.calls.iter().find(|call| call.name == "io_submit") {
            return fail(
                format!("system call io_submit, {} operations", call.args[1]),
                "io_submit(2) is the older interface for asynchronous I/O. Use the ring.",
            );
        }
        (self.summary.calls_not_kept > 0).then(|| {
            Failure::not_observed(format!(
                "the program made more than {} other system calls, and the record has room for no \
                 more",
                self.calls.len()
            ))
        })
    }
}
