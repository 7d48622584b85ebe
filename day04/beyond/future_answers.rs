//! What happens to an operation whose future is dropped: the questions of the chapter *A future
//! from a ring*, asked of the kernel.
//!
//! ```text
//! cargo run -p day04 --example future_answers
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions, SetupFlags};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

// `user_data`: the operation whose future is dropped, its cancel, and one that comes after.
const DROPPED: u64 = 1;
const CANCEL: u64 = 2;
const NEXT: u64 = 3;
/// An entry that completes at once, so that a turn need not wait for anything.
const TURN: u64 = 4;

const PAGE: usize = 4096;
/// So long that a READ of it lasts longer than closing a ring.
const LONG: usize = 128 << 20;

/// Atomics, because the kernel writes here as another thread would.
type Memory = [AtomicU8; 8];

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run())
}

fn run() -> Result<()> {
    left_alone()?;
    two_wait()?;
    cancelled_before()?;
    for defer in [false, true] {
        cancelled_after(defer)?;
    }
    number_reused()?;
    accept_left_alone()?;
    multishot_cancelled()?;
    send_cancelled()?;
    ring_closed()
}

fn say(question: &str, answer: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{question}: {answer}")?)
}

/// Nothing is cancelled, and the memory has a new owner.
fn left_alone() -> Result<()> {
    let (mut asked, memory) = (Asked::new(false)?, memory());
    let (ours, mut peer) = UnixStream::pair()?;
    asked.push(&recv(&ours, memory), DROPPED)?;
    asked.turns(1)?;
    // Here the future is dropped.
    write(memory, b"mine....");
    peer.write_all(b"yours")?;
    asked.push(&recv(&ours, self::memory()), NEXT)?;
    asked.turns(20)?;
    say("RECV dropped, not cancelled, then 5 bytes come", &asked.result(DROPPED))?;
    say("RECV dropped, not cancelled, its memory was \"mine....\" since", &read(memory))?;
    say("RECV dropped, not cancelled, the next RECV", &asked.result(NEXT))
}

/// The same with the next RECV in flight before the bytes come.
fn two_wait() -> Result<()> {
    let mut asked = Asked::new(false)?;
    let (ours, mut peer) = UnixStream::pair()?;
    asked.push(&recv(&ours, memory()), DROPPED)?;
    asked.turns(1)?;
    asked.push(&recv(&ours, memory()), NEXT)?;
    asked.turns(1)?;
    peer.write_all(b"yours")?;
    asked.turns(20)?;
    let first = asked.number(DROPPED).is_some();
    say(
        "RECVs wait, two of them, and 5 bytes come to",
        if first { "the older" } else { "the younger" },
    )
}

/// The cancel arrives first.
fn cancelled_before() -> Result<()> {
    let mut asked = Asked::new(false)?;
    let (ours, mut peer) = UnixStream::pair()?;
    asked.push(&recv(&ours, memory()), DROPPED)?;
    asked.turns(1)?;
    asked.push(&opcode::AsyncCancel::new(DROPPED).build(), CANCEL)?;
    asked.push(&recv(&ours, memory()), NEXT)?;
    asked.turns(20)?;
    peer.write_all(b"yours")?;
    asked.turns(20)?;
    say("RECV cancelled, then 5 bytes come", &asked.result(DROPPED))?;
    say("RECV cancelled, then 5 bytes come, its ASYNC_CANCEL", &asked.result(CANCEL))?;
    say("RECV cancelled, then 5 bytes come, the next RECV", &asked.result(NEXT))
}

/// The bytes arrive first.
fn cancelled_after(defer: bool) -> Result<()> {
    let how = if defer { "DEFER_TASKRUN" } else { "a plain ring" };
    let question = format!("RECV cancelled after 5 bytes came, {how}");
    let Ok(mut asked) = Asked::new(defer) else { return say(&question, "no such ring") };
    let (ours, mut peer) = UnixStream::pair()?;
    asked.push(&recv(&ours, memory()), DROPPED)?;
    asked.turns(1)?;
    peer.write_all(b"yours")?;
    asked.push(&opcode::AsyncCancel::new(DROPPED).build(), CANCEL)?;
    asked.push(&recv(&ours, memory()), NEXT)?;
    asked.turns(20)?;
    say(&question, &asked.result(DROPPED))?;
    say(&format!("{question}, its ASYNC_CANCEL"), &asked.result(CANCEL))?;
    say(&format!("{question}, the next RECV"), &asked.result(NEXT))
}

/// The entry is in the queue when the future is dropped, and its socket closed.
fn number_reused() -> Result<()> {
    let (mut asked, memory) = (Asked::new(false)?, memory());
    let (ours, _peer) = UnixStream::pair()?;
    let number = ours.as_raw_fd();
    asked.push(&recv(&ours, memory), DROPPED)?;
    drop(ours);
    let (other, mut peer) = UnixStream::pair()?;
    let (other, mut peer) = if peer.as_raw_fd() == number {
        (peer, other)
    } else {
        (other, {
            peer.flush()?;
            peer
        })
    };
    assert_eq!(other.as_raw_fd(), number, "the lowest free number");
    peer.write_all(b"private")?;
    asked.turns(20)?;
    say("RECV pushed, its socket closed, the number reused, submitted", &asked.result(DROPPED))?;
    say("RECV pushed, its socket closed, the number reused, it has", &read(memory))
}

fn accept_left_alone() -> Result<()> {
    let mut asked = Asked::new(false)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let none = std::ptr::null_mut();
    let accept = opcode::Accept::new(Fd(listener.as_raw_fd()), none, none.cast()).build();
    asked.push(&accept, DROPPED)?;
    asked.turns(1)?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    asked.turns(20)?;
    asked.push(&opcode::AsyncCancel::new(DROPPED).build(), CANCEL)?;
    asked.turns(20)?;
    let accepted = asked.results.get(&DROPPED).and_then(|done| done.first());
    let number = accepted.copied().unwrap_or(-1);
    let answer = if number >= 0 { "a descriptor" } else { &asked.result(DROPPED) };
    say("ACCEPT cancelled after a client came", answer)?;
    say("ACCEPT cancelled after a client came, its ASYNC_CANCEL", &asked.result(CANCEL))?;
    client.set_read_timeout(Some(Duration::from_millis(50)))?;
    let heard = client.read(&mut [0]);
    let answer = if heard.is_err() { "waits for the server" } else { "is let go" };
    say("ACCEPT cancelled after a client came, the client", answer)?;
    if number >= 0 {
        // SAFETY: a new descriptor, which only this completion has named.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
    Ok(())
}

fn multishot_cancelled() -> Result<()> {
    let mut asked = Asked::new(false)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    asked.push(&opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build(), DROPPED)?;
    asked.turns(2)?;
    asked.push(&opcode::AsyncCancel::new(DROPPED).build(), CANCEL)?;
    asked.turns(20)?;
    say("ACCEPT multishot, armed and cancelled", &asked.result(DROPPED))
}

/// More than fits into the socket.
fn send_cancelled() -> Result<()> {
    let bytes: &'static mut Vec<u8> = forever(vec![7; 4 << 20]);
    for (how, flags) in [("SEND", 0), ("SEND with MSG_WAITALL", libc::MSG_WAITALL)] {
        let mut asked = Asked::new(false)?;
        let (ours, mut peer) = UnixStream::pair()?;
        let send = opcode::Send::new(Fd(ours.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32)
            .flags(flags);
        asked.push(&send.build(), DROPPED)?;
        asked.turns(2)?;
        asked.push(&opcode::AsyncCancel::new(DROPPED).build(), CANCEL)?;
        asked.turns(20)?;
        let part = asked.number(DROPPED).is_some_and(|sent| sent > 0);
        let answer = if part { "the part that was sent".into() } else { asked.result(DROPPED) };
        say(&format!("{how} of more than the socket takes, cancelled"), &answer)?;
        drop((ours, asked));
        let mut came = Vec::new();
        peer.read_to_end(&mut came)?;
        let some = if came.is_empty() { "nothing" } else { "a part of it" };
        say(&format!("{how} of more than the socket takes, cancelled, the peer has"), some)?;
    }
    Ok(())
}

/// Is the kernel done with the memory when the ring is closed?
fn ring_closed() -> Result<()> {
    let pages = (0..LONG / PAGE).map(|_| [const { AtomicU8::new(0) }; PAGE]);
    let pages: &'static Vec<[AtomicU8; PAGE]> = forever(pages.collect());
    let file = File::from(memfd_create(c"future_answers", MFdFlags::empty())?);
    (0..LONG / PAGE).try_for_each(|_| (&file).write_all(&[7; PAGE]))?;
    let address = pages.as_ptr().cast_mut().cast();
    let read = opcode::Read::new(Fd(file.as_raw_fd()), address, LONG as u32).offset(0).build();
    let mut asked = Asked::new(false)?;
    // A worker thread reads, from the first byte to the last.
    asked.push(&read.flags(Flags::ASYNC), DROPPED)?;
    asked.ring.submit()?;
    let so_far = || pages.partition_point(|page| page[PAGE - 1].load(Ordering::Relaxed) == 7);
    while so_far() == 0 {
        thread::yield_now();
    }
    drop(asked); // This closes the ring.
    let at_the_close = so_far();
    thread::sleep(Duration::from_millis(500));
    let answer = if so_far() > at_the_close { "~still changes" } else { "~was ready" };
    say("READ of a worker when its ring is closed, the memory after that", answer)
}

fn memory() -> &'static Memory {
    forever(Memory::default())
}

fn write(memory: &Memory, bytes: &[u8; 8]) {
    for (place, byte) in memory.iter().zip(bytes) {
        place.store(*byte, Ordering::Relaxed);
    }
}

fn read(memory: &Memory) -> String {
    let bytes = memory.iter().map(|place| place.load(Ordering::Relaxed)).take_while(|b| *b > 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

fn recv(socket: &UnixStream, memory: &'static Memory) -> Entry {
    let address = memory.as_ptr().cast_mut().cast();
    opcode::Recv::new(Fd(socket.as_raw_fd()), address, size_of::<Memory>() as u32).build()
}

/// A ring, and the results that have come.
struct Asked {
    ring: IoUring,
    results: HashMap<u64, Vec<i32>>,
    more: HashMap<u64, bool>,
}

impl Asked {
    fn new(defer: bool) -> Result<Asked> {
        let flags = SetupFlags { single_issuer: defer, defer_taskrun: defer, ..Default::default() };
        let ring = ring::build(&RingOptions::default(), 8, flags)?;
        Ok(Asked { ring, results: HashMap::new(), more: HashMap::new() })
    }

    fn push(&mut self, entry: &Entry, user_data: u64) -> Result<()> {
        // SAFETY: entries of this program point at memory that is never freed, if anywhere.
        Ok(unsafe { self.ring.submission().push(&entry.clone().user_data(user_data)) }?)
    }

    /// Submits, and takes what has completed; this many times, a millisecond apart.
    fn turns(&mut self, count: u32) -> Result<()> {
        for _ in 0..count {
            self.push(&opcode::Nop::new().build(), TURN)?;
            while let Err(error) = self.ring.submit_and_wait(1) {
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error.into());
                }
            }
            for completion in self.ring.completion() {
                let id = completion.user_data();
                self.results.entry(id).or_default().push(completion.result());
                self.more.insert(id, cqueue::more(completion.flags()));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn number(&self, user_data: u64) -> Option<i32> {
        self.results.get(&user_data).and_then(|results| results.last()).copied()
    }

    /// The last result in words.
    fn result(&self, user_data: u64) -> String {
        let Some(result) = self.number(user_data) else { return "waits".into() };
        let words =
            if result < 0 { format!("{:?}", Errno::from_raw(-result)) } else { result.to_string() };
        let more = if self.more[&user_data] { ", MORE" } else { "" };
        words + more
    }
}
