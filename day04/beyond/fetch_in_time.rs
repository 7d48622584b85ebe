//! Fetches a page from whichever mirror delivers it in time.
//!
//! ```text
//! cargo run -p day04 --example fetch_in_time -- --connect 500 --first 1000 --whole 5000 \
//!     127.0.0.1:8000/page 127.0.0.1:8001/page
//! ```
//!
//! Two mirrors are asked at once, each in a *lane*; a lane that fails takes the next mirror. A
//! mirror has three deadlines: for the connection, for the first byte, for the whole page. All
//! three are LINK_TIMEOUTs, so each operation has its own limit and no timer is left behind. The
//! first whole page is printed, and the others are cancelled.
//!
//! The rule of the program: a lane is used again when *everything* that it has submitted has
//! completed: the operation, its limit, and the cancel. Only then does its memory belong to the
//! program.
//!
//! What it does not do: names are looked up before the ring is asked (`getaddrinfo(3)` blocks), and
//! it speaks HTTP/1.0 without TLS.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::ToSocketAddrs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, TimeoutFlags, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, socket};
use nix::time::{ClockId, clock_gettime};

/// How many mirrors are asked at once.
const LANES: usize = 2;

// `user_data`: the lane, and in the last two bits what completes.
const OPERATION: u64 = 0;
const LIMIT: u64 = 1;
const CANCEL: u64 = 2;

/// Fetches a page from whichever mirror delivers it in time
#[derive(Parser)]
struct Options {
    /// How long a connection may take
    #[arg(long, value_name = "MS", default_value_t = 500)]
    connect: u64,

    /// How long the first byte may take, after the request
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    first: u64,

    /// How long the whole page may take, from the start of its connection
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    whole: u64,

    /// The mirrors, the best one first: HOST:PORT/PATH
    #[arg(required = true)]
    mirrors: Vec<String>,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let mirrors = options.mirrors.iter().map(|text| Mirror::parse(text));
    let mirrors = mirrors.collect::<Result<VecDeque<_>>>()?;
    let ring = ring::build_best(&RingOptions::default(), 16)?.0;
    let lanes = std::array::from_fn(|_| forever(Lane::default()));
    let mut fetch = Fetch { ring, options, mirrors, lanes, page: None };
    fetch.race()?;
    let page = fetch.page.context("no mirror delivered the page in time")?;
    Ok(io::stdout().write_all(&page)?)
}

#[derive(Default)]
struct Mirror {
    text: String,
    request: Vec<u8>,
    address: Option<SockaddrStorage>,
}

impl Mirror {
    fn parse(text: &str) -> Result<Mirror> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let address = host.to_socket_addrs().ok().and_then(|mut all| all.next());
        let address = address.with_context(|| {
            format!("{text} cannot be found: a mirror is HOST:PORT/PATH, such as 127.0.0.1:8000/")
        })?;
        let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").into_bytes();
        Ok(Mirror { text: text.to_string(), request, address: Some(address.into()) })
    }
}

/// A place for one mirror at a time. It is never freed. What is in it belongs to the kernel while
/// anything is in flight.
#[derive(Default)]
struct Lane {
    /// How many completions are still to come: of an operation, its limit, a cancel.
    in_flight: u32,
    step: Step,
    mirror: Mirror,
    socket: Option<OwnedFd>,
    /// When the whole page must be here, by CLOCK_MONOTONIC.
    deadline: Duration,
    /// The limit of the operation in flight.
    limit: Timespec,
    chunk: Vec<u8>,
    /// The result of the operation.
    result: i32,
    sent: usize,
    reply: Vec<u8>,
    /// Another mirror was first.
    is_cancelled: bool,
}

/// What a lane waits for.
#[derive(Clone, Copy, Default)]
enum Step {
    #[default]
    Connected,
    Sent,
    FirstByte,
    Whole,
}

struct Fetch<'a> {
    ring: IoUring,
    options: &'a Options,
    /// Those that have not been asked yet.
    mirrors: VecDeque<Mirror>,
    lanes: [&'static mut Lane; LANES],
    page: Option<Vec<u8>>,
}

impl Fetch<'_> {
    // ANCHOR: race
    fn race(&mut self) -> Result<()> {
        loop {
            for lane in 0..LANES {
                let is_free = self.lanes[lane].in_flight == 0 && self.page.is_none();
                if let Some(mirror) = is_free.then(|| self.mirrors.pop_front()).flatten() {
                    self.start(lane, mirror)?;
                }
            }
            if self.lanes.iter().all(|lane| lane.in_flight == 0) {
                return Ok(());
            }
            wait(&self.ring)?;
            while let Some(completion) = self.next_completion() {
                let at = (completion.user_data() >> 2) as usize;
                let lane = &mut self.lanes[at];
                lane.in_flight -= 1;
                if completion.user_data() & 3 == OPERATION {
                    lane.result = completion.result();
                }
                if lane.in_flight == 0 {
                    self.step(at)?;
                }
            }
        }
    }
    // ANCHOR_END: race

    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    /// Asks a mirror. The memory of the one before is freed here: nothing is in flight.
    fn start(&mut self, at: usize, mirror: Mirror) -> Result<()> {
        let (address, deadline) = (mirror.address, now()? + ms(self.options.whole));
        let lane = &mut *self.lanes[at];
        *lane = Lane { mirror, deadline, chunk: vec![0; 4096], ..Lane::default() };
        let address = address.as_ref().context("every mirror has an address")?;
        let family = address.family().unwrap_or(AddressFamily::Inet);
        let fd = lane.socket.insert(socket(family, SockType::Stream, SockFlag::empty(), None)?);
        let place = lane.mirror.address.as_ref().map_or(std::ptr::null(), |it| it.as_ptr());
        let connect = opcode::Connect::new(Fd(fd.as_raw_fd()), place, address.len()).build();
        self.add(at, Step::Connected, connect, Some(self.options.connect))
    }

    // ANCHOR: add
    /// Queues an operation with its limit: this many milliseconds, but no longer than for the
    /// whole.
    fn add(&mut self, at: usize, step: Step, entry: Entry, limit: Option<u64>) -> Result<()> {
        let lane = &mut *self.lanes[at];
        lane.step = step;
        lane.in_flight += 2;
        let sooner = limit.map_or(Ok(lane.deadline), |limit| now().map(|now| now + ms(limit)))?;
        lane.limit = Timespec::from(sooner.min(lane.deadline));
        let limit = opcode::LinkTimeout::new(&lane.limit).flags(TimeoutFlags::ABS).build();
        let user_data = (at as u64) << 2;
        let chain = [
            entry.flags(Flags::IO_LINK).user_data(user_data | OPERATION),
            limit.user_data(user_data | LIMIT),
        ];
        // SAFETY: the lane is never freed. What the entries point at in it stays until `in_flight`
        // is 0.
        Ok(unsafe { self.ring.submission().push_multiple(&chain) }?)
    }
    // ANCHOR_END: add

    /// Everything that this lane had in flight has completed: its memory belongs to the program.
    fn step(&mut self, at: usize) -> Result<()> {
        let Options { connect, first, whole, .. } = self.options;
        let lane = &mut *self.lanes[at];
        let come = lane.reply.len();
        let why = match (lane.step, lane.result) {
            _ if lane.is_cancelled => "cancelled: another mirror was first".to_string(),
            (_, CANCELED) if now()? >= lane.deadline => {
                format!("{come} bytes and no end within {whole} ms")
            }
            (Step::Connected | Step::Sent, CANCELED) => {
                format!("no connection within {connect} ms")
            }
            (_, CANCELED) => format!("no byte within {first} ms"),
            (_, ..0) => io::Error::from_raw_os_error(-lane.result).to_string(),
            (Step::Connected, _) => return self.add_send(at),
            (Step::Sent, sent) => {
                lane.sent += sent as usize;
                return if lane.sent < lane.mirror.request.len() {
                    self.add_send(at)
                } else {
                    self.add_recv(at, Step::FirstByte, Some(*first))
                };
            }
            // A limit that ended at the same moment does not matter: these bytes came.
            (_, length @ 1..) => {
                lane.reply.extend_from_slice(&lane.chunk[..length as usize]);
                return self.add_recv(at, Step::Whole, None);
            }
            (_, 0) => match page(&lane.reply) {
                Ok(page) => {
                    self.page = Some(page.to_vec());
                    self.cancel_others()?;
                    format!("{come} bytes, the first whole page")
                }
                Err(why) => why,
            },
        };
        let lane = &mut *self.lanes[at];
        eprintln!("{}: {why}", lane.mirror.text);
        lane.socket = None;
        Ok(())
    }

    fn add_send(&mut self, at: usize) -> Result<()> {
        let lane = &*self.lanes[at];
        let rest = &lane.mirror.request[lane.sent..];
        let send = opcode::Send::new(lane.fd(), rest.as_ptr(), rest.len() as u32);
        self.add(at, Step::Sent, send.flags(libc::MSG_NOSIGNAL).build(), Some(self.options.connect))
    }

    fn add_recv(&mut self, at: usize, step: Step, limit: Option<u64>) -> Result<()> {
        let lane = &mut *self.lanes[at];
        let (fd, length) = (lane.fd(), lane.chunk.len() as u32);
        let recv = opcode::Recv::new(fd, lane.chunk.as_mut_ptr(), length).build();
        self.add(at, step, recv, limit)
    }

    // ANCHOR: cancel
    fn cancel_others(&mut self) -> Result<()> {
        for (at, lane) in (0_u64..).zip(&mut self.lanes) {
            if lane.in_flight > 0 && !lane.is_cancelled {
                lane.is_cancelled = true;
                lane.in_flight += 1;
                let cancel = opcode::AsyncCancel::new(at << 2 | OPERATION).build();
                // SAFETY: the entry points at nothing.
                unsafe { self.ring.submission().push(&cancel.user_data(at << 2 | CANCEL)) }?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: cancel
}

impl Lane {
    fn fd(&self) -> Fd {
        Fd(self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }
}

const CANCELED: i32 = -libc::ECANCELED;

/// The page in a reply that has ended, or what is wrong with it.
fn page(reply: &[u8]) -> Result<&[u8], String> {
    let end = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or("the reply ends before its page begins")?;
    let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("the reply is {status:?}"));
    }
    let page = &reply[end + 4..];
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    match length.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) if page.len() < length => Err(format!("{} of {length} bytes", page.len())),
        _ => Ok(page),
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}

/// Submits what is queued, and waits for a completion. A signal may interrupt that.
fn wait(ring: &IoUring) -> Result<()> {
    while let Err(error) = ring.submit_and_wait(1) {
        if error.kind() != ErrorKind::Interrupted {
            return Err(error.into());
        }
    }
    Ok(())
}
