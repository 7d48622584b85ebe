//! A client that follows its plan, and remembers what it saw.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use testkit::{PATIENCE, reset};

use super::plan::{Client, Deed, End, Reply};
use crate::dice::content;

/// How long a client that does not read goes on trying to send.
const STUFFED: Duration = Duration::from_millis(100);

/// What a client saw of the server.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// A server that has stopped accepts no client.
    pub connected: bool,
    pub sent: usize,
    pub received: usize,
    /// The first byte that is another than the model's: its number, and both bytes.
    pub wrong: Option<String>,
    /// How the server's side ended, if it did.
    pub ended: Option<Ended>,
    /// It ended before the client's own side had.
    pub ended_early: bool,
    /// The longest time that it left bytes unread, as far as it knows.
    pub slow: Duration,
    /// From its first byte to the end.
    pub lasted: Duration,
    /// From its connection to the end.
    pub lived: Duration,
    /// What it waited for, if that did not come.
    pub gave_up: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    EndOfFile,
    Error(ErrorKind),
}

/// Plays one client to its end, or until `deadline`.
pub fn play(plan: &Client, reply: Reply, address: SocketAddr, deadline: Instant, key: u64) -> Seen {
    std::thread::sleep(Duration::from_millis(plan.comes_at));
    let Ok(stream) = TcpStream::connect_timeout(&address, PATIENCE) else {
        return Seen::default();
    };
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_nonblocking(true).expect("a socket");
    let seen = Seen { connected: true, ..Seen::default() };
    let drained = Instant::now();
    let mut player = Player {
        stream,
        reply,
        key,
        deadline,
        seen,
        reads: true,
        half_closed: false,
        broken: false,
        came: drained,
        drained,
        first: None,
    };
    plan.steps.iter().for_each(|step| player.step(*step));
    player.end(plan.end)
}

struct Player {
    stream: TcpStream,
    reply: Reply,
    key: u64,
    deadline: Instant,
    seen: Seen,
    /// It has not stopped reading.
    reads: bool,
    half_closed: bool,
    /// Sending failed.
    broken: bool,
    came: Instant,
    /// When there was nothing to read, last.
    drained: Instant,
    /// When it first sent something.
    first: Option<Instant>,
}

impl Player {
    fn step(&mut self, step: Deed) {
        let sent = self.seen.sent;
        match step {
            Deed::Send(length) => self.go(sent + length, 0, "room to send"),
            Deed::Trickle(length) => {
                (1..=length).for_each(|more| self.go(sent + more, 0, "room to send"));
            }
            Deed::Read(length) if self.reads => {
                let due = match self.reply {
                    Reply::Ack if sent > 0 => 4,
                    Reply::Ack => 0,
                    Reply::Echo => sent,
                };
                self.go(sent, due.min(self.seen.received + length), "bytes");
            }
            Deed::Read(_) => {}
            Deed::Pause(time) => std::thread::sleep(Duration::from_millis(time)),
            Deed::StopReading => self.reads = false,
            Deed::HalfClose => self.half_close(),
        }
    }

    fn half_close(&mut self) {
        self.half_closed = true;
        // It fails where the connection is reset, which the next read shows.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn end(mut self, end: End) -> Seen {
        if end == End::Politely {
            self.half_close();
            self.reads = true;
            self.go(self.seen.sent, usize::MAX, "the end");
            // A reset that the sending found out about leaves what had come before it.
            while self.receive() {}
        }
        self.note_slowness();
        self.seen.lived = self.came.elapsed();
        self.seen.lasted = self.first.map_or(Duration::ZERO, |first| first.elapsed());
        if end == End::Reset {
            reset(self.stream);
        }
        self.seen
    }

    /// Sends and reads until so much is sent and received, or the server has ended, or it
    /// takes no more from a client that does not read.
    fn go(&mut self, sent: usize, received: usize, what: &'static str) {
        let mut moved = Instant::now();
        loop {
            let sends = self.seen.sent < sent && !self.broken && !self.half_closed;
            let waits = self.seen.received < received && self.seen.ended.is_none();
            if !sends && !waits || self.seen.gave_up.is_some() {
                return;
            }
            let wrote = sends && self.send(sent);
            if self.receive() || wrote {
                moved = Instant::now();
            } else if !self.reads && moved.elapsed() > STUFFED {
                return;
            } else {
                self.wait(sends);
            }
            if Instant::now() > self.deadline {
                self.seen.gave_up = Some(what);
            }
        }
    }

    /// Sends some of what is left up to byte number `end`. Returns whether the socket took any.
    fn send(&mut self, end: usize) -> bool {
        let mut bytes = [0; 1 << 14];
        let length = bytes.len().min(end - self.seen.sent);
        content(self.key, self.seen.sent, &mut bytes[..length]);
        match self.stream.write(&bytes[..length]) {
            Ok(written) => {
                self.first.get_or_insert_with(Instant::now);
                self.seen.sent += written;
                true
            }
            Err(error) => {
                self.broken = !is_transient(error.kind());
                if self.broken {
                    self.ended(Ended::Error(error.kind()));
                }
                false
            }
        }
    }

    /// Reads some of what is there, if it reads at all. Returns whether there was anything.
    fn receive(&mut self) -> bool {
        if !self.reads {
            return false;
        }
        self.note_slowness();
        let mut bytes = [0; 1 << 14];
        match self.stream.read(&mut bytes) {
            Ok(0) => {
                self.ended(Ended::EndOfFile);
                self.drained = Instant::now();
                false
            }
            Ok(length) => {
                self.compare(&bytes[..length]);
                true
            }
            Err(error) if is_transient(error.kind()) => {
                self.drained = Instant::now();
                false
            }
            Err(error) => {
                self.ended(Ended::Error(error.kind()));
                false
            }
        }
    }

    fn compare(&mut self, bytes: &[u8]) {
        let at = self.seen.received;
        self.seen.received += bytes.len();
        let mut right = vec![0; bytes.len()];
        match self.reply {
            Reply::Echo => content(self.key, at, &mut right),
            Reply::Ack => right.iter_mut().zip(b"ack\0".iter().skip(at)).for_each(|(r, a)| *r = *a),
        }
        if let Some(number) = (0..bytes.len()).find(|number| bytes[*number] != right[*number]) {
            let (is, was) = (bytes[number], right[number]);
            let wrong = format!("byte {} is {is:#04x} and not {was:#04x}", at + number);
            self.seen.wrong.get_or_insert(wrong);
        }
    }

    fn ended(&mut self, how: Ended) {
        self.note_slowness(); // a send may find out, after a long pause
        if self.seen.ended.is_none() {
            self.seen.ended = Some(how);
            self.seen.ended_early = !self.half_closed;
        }
    }

    /// Waits until it can go on, but not for long: there are deadlines to look at.
    fn wait(&mut self, sends: bool) {
        let reads = self.reads && self.seen.ended.is_none();
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLOUT, sends);
        events.set(PollFlags::POLLIN, reads);
        let mut fds = [PollFd::new(self.stream.as_fd(), events)];
        // Interrupted or not: the loop looks again.
        let _ = poll(&mut fds, PollTimeout::from(50_u8));
        if reads {
            self.drained = Instant::now();
        }
    }

    fn note_slowness(&mut self) {
        if self.seen.ended.is_none() {
            self.seen.slow = self.seen.slow.max(self.drained.elapsed());
        }
    }
}

fn is_transient(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
