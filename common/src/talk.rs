//! What a server prints: text for people, or JSON lines for programs.
//!
//! A full pipe (its reader is slow or stopped) or a held terminal (Ctrl-S) makes `write(2)` wait. A
//! server that waits in it serves no client and sees no stop signal. So lines that the output does
//! not take at once are kept, up to a limit. Lines beyond the limit are dropped and counted.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Stdout, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;
use serde::Serialize;
use serde_json::json;

use crate::text::{self, several};

/// Bytes that are kept for an output that takes nothing; a line is added whole.
const MOST: usize = 4 << 20;
/// How soon to try an output again that took nothing.
const RETRY: Duration = Duration::from_millis(20);
/// How long the first and the last words wait for an output that takes nothing: meanwhile no client
/// is served.
const PATIENCE: Duration = Duration::from_secs(1);

/// `--quiet` and `--json`, as the servers take them.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct TalkOptions {
    /// Print nothing about single clients: only the address and the summary
    #[arg(long)]
    pub quiet: bool,

    /// One JSON object a line: first the address, last the summary
    #[arg(long)]
    pub json: bool,
}

/// Prints events. If the reader goes away (`| head`) it prints nothing more, and the server
/// goes on.
#[derive(Debug)]
pub struct Talk {
    options: TalkOptions,
    output: Output,
    /// What the output has not taken yet.
    rest: VecDeque<u8>,
    /// Lines that were dropped.
    dropped: usize,
    /// How many of them no printed notice has counted.
    untold: usize,
    gone: bool,
}

impl Talk {
    /// Prints to standard output.
    pub fn new(options: TalkOptions) -> Talk {
        let output = Output::standard();
        Talk { options, output, rest: VecDeque::new(), dropped: 0, untold: 0, gone: false }
    }

    /// Whether [`Talk::detail`] prints anything. Ask before doing work only for printing.
    pub fn is_quiet(&self) -> bool {
        self.options.quiet || self.gone
    }

    /// How many lines the output did not take: for the summary, which does not count itself.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// The same in words, as a line after others; nothing if the output took all.
    pub fn dropped_line(&self) -> String {
        match self.dropped {
            0 => String::new(),
            lines => format!("\n{} not printed in all", several(lines, "line")),
        }
    }

    /// Prints the first or the last words, also with `--quiet`: `text` for people, `event` for
    /// programs. Waits a limited time for an output that is full.
    pub fn always(&mut self, text: fmt::Arguments<'_>, event: impl Serialize) {
        self.say(text, event, PATIENCE);
    }

    /// Prints an event, unless `--quiet` is set. Does not wait.
    pub fn detail(&mut self, text: fmt::Arguments<'_>, event: impl Serialize) {
        if !self.is_quiet() {
            self.say(text, event, Duration::ZERO);
        }
    }

    /// Prints words for people only, wrapped to fit a terminal: not with `--quiet` or `--json`.
    /// Does not wait.
    pub fn explain(&mut self, text: fmt::Arguments<'_>) {
        if !self.options.json {
            let text = text.to_string();
            let empty_line = if text.ends_with('\n') { "\n" } else { "" };
            let wrapped = text::wrap(&text, text::WIDTH, 2);
            self.detail(format_args!("{wrapped}{empty_line}"), ());
        }
    }

    /// Writes what the output has not taken yet, without waiting. Call it once a turn.
    pub fn go_on(&mut self) {
        self.write_rest(Duration::ZERO);
    }

    /// When to write again at the latest, if something is left: the loop must not sleep longer.
    pub fn goes_on_in(&self) -> Option<Duration> {
        (!self.rest.is_empty()).then_some(RETRY)
    }

    fn say(&mut self, text: fmt::Arguments<'_>, event: impl Serialize, patience: Duration) {
        self.write_rest(patience);
        if self.rest.len() >= MOST {
            self.dropped += 1;
            self.untold += 1;
            return;
        }
        match std::mem::take(&mut self.untold) {
            0 => {}
            lines => self.add(
                format_args!("{} not printed: the output was full", several(lines, "line")),
                json!({"event": "lines dropped", "lines": lines}),
            ),
        }
        self.add(text, event);
        self.write_rest(patience);
    }

    fn add(&mut self, text: fmt::Arguments<'_>, event: impl Serialize) {
        let added = if self.options.json {
            serde_json::to_writer(&mut self.rest, &event)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(self.rest))
        } else {
            writeln!(self.rest, "{text}")
        };
        added.expect("an event is printable, and memory takes it");
    }

    /// Writes as much as the output takes; it may take nothing for as long as `patience`.
    fn write_rest(&mut self, patience: Duration) {
        let mut last = Instant::now();
        while !self.rest.is_empty() {
            match self.output.write(self.rest.as_slices().0) {
                Ok(bytes) => {
                    self.rest.drain(..bytes);
                    last = Instant::now();
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if last.elapsed() < patience => {
                    self.output.is_ready_within(patience);
                }
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    self.gone = true;
                    self.rest.clear();
                }
            }
        }
    }
}

/// Standard output, without writes that wait.
#[derive(Debug)]
struct Output {
    shared: Stdout,
    /// The same pipe or terminal, opened once more with O_NONBLOCK. That flag belongs to the
    /// open file description, and standard output's is shared with the shell and others.
    own: Option<File>,
}

impl Output {
    fn standard() -> Output {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let again = OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/1");
        // A write to a regular file does not wait, and a second open would start at its beginning.
        let waits = |file: &File| {
            let kind = file.metadata().map(|metadata| metadata.file_type());
            kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device())
        };
        // An output that cannot be opened again (a socket, or another user's) is polled before each write.
        Output { shared: io::stdout(), own: again.ok().filter(waits) }
    }

    /// Writes some of `bytes`, or fails with EAGAIN where it would have to wait.
    fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        match &self.own {
            Some(own) => unistd::write(own, bytes),
            None if self.is_ready_within(Duration::ZERO) => {
                // A pipe that is ready has room for this many bytes (pipe(7)).
                unistd::write(&self.shared, &bytes[..bytes.len().min(libc::PIPE_BUF)])
            }
            None => Err(Errno::EAGAIN),
        }
    }

    /// Whether it takes something, or fails, within that time.
    fn is_ready_within(&self, time: Duration) -> bool {
        let fd = self.own.as_ref().map_or(self.shared.as_fd(), AsFd::as_fd);
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], timeout).is_ok_and(|ready| ready > 0)
    }
}
