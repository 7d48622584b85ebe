//! Timers, what a cancel finds, and how long memory is the kernel's.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::Result;
use common::memory::forever;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, TimeoutFlags, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use nix::errno::Errno;

use super::by_worker::large_read;
use super::means::push;
use super::say;

static MOMENT: Timespec = Timespec::new().nsec(5_000_000);
static HOUR: Timespec = Timespec::new().sec(3600);
/// Of every clock: it was over long before the program began.
static PAST: Timespec = Timespec::new().nsec(1);

fn timeout(time: &'static Timespec, flags: TimeoutFlags, count: u32) -> Entry {
    opcode::Timeout::new(time).flags(flags).count(count).build()
}

pub fn ask() -> Result<()> {
    let none = TimeoutFlags::empty;
    let linked = |flags| timeout(&MOMENT, flags, 0).flags(Flags::IO_LINK);
    let nop = || ("NOP", opcode::Nop::new().build());
    let change = opcode::TimeoutUpdate::new(0, &MOMENT).build();
    let cases: [(&str, &[(&str, Entry)]); 10] = [
        ("of 5 ms, a NOP linked to it", &[("TIMEOUT", linked(none())), nop()]),
        (
            "of 5 ms with ETIME_SUCCESS, a NOP linked to it",
            &[("TIMEOUT", linked(TimeoutFlags::ETIME_SUCCESS)), nop()],
        ),
        ("of an hour with count 1, and a NOP", &[("TIMEOUT", timeout(&HOUR, none(), 1)), nop()]),
        (
            "of an hour with count 1, and one of 5 ms",
            &[("the hour", timeout(&HOUR, none(), 1)), ("TIMEOUT", timeout(&MOMENT, none(), 0))],
        ),
        (
            "of 5 ms, MULTISHOT with count 3",
            &[("TIMEOUT", timeout(&MOMENT, TimeoutFlags::MULTISHOT, 3))],
        ),
        (
            "of an hour, changed to 5 ms",
            &[("TIMEOUT", timeout(&HOUR, none(), 0)), ("the change", change)],
        ),
        (
            "of an hour, and its TIMEOUT_REMOVE",
            &[
                ("TIMEOUT", timeout(&HOUR, none(), 0)),
                ("TIMEOUT_REMOVE", opcode::TimeoutRemove::new(0).build()),
            ],
        ),
        ("ABS, in the past", &[("TIMEOUT", timeout(&PAST, TimeoutFlags::ABS, 0))]),
        ("of 5 ms by BOOTTIME", &[("TIMEOUT", timeout(&MOMENT, TimeoutFlags::BOOTTIME, 0))]),
        (
            "of 5 ms by BOOTTIME and REALTIME",
            &[("TIMEOUT", timeout(&MOMENT, TimeoutFlags::BOOTTIME | TimeoutFlags::REALTIME, 0))],
        ),
    ];
    for (question, entries) in cases {
        say(&format!("TIMEOUT {question}"), &complete(entries)?)?;
    }
    limits()?;
    cancels()?;
    race()?;
    memory()
}

/// Submits the entries at once, with 0, 1 … as `user_data`, and says what completes, in its order.
fn complete(entries: &[(&str, Entry)]) -> Result<String> {
    let mut ring = IoUring::new(8)?;
    for (user_data, (_, entry)) in entries.iter().enumerate() {
        push(&mut ring, entry.clone(), user_data as u64)?;
    }
    ring.submit()?;
    let mut words = Vec::new();
    for _ in 0..100 {
        sleep(Duration::from_millis(1));
        ring.submit()?;
        words.extend(ring.completion().map(|it| {
            let more = if cqueue::more(it.flags()) { " and F_MORE" } else { "" };
            format!("{} {}{more}", entries[it.user_data() as usize].0, in_words(it.result()))
        }));
    }
    Ok(if words.is_empty() { "nothing completes".into() } else { words.join(", then ") })
}

fn in_words(result: i32) -> String {
    if result < 0 { format!("{:?}", Errno::from_raw(-result)) } else { result.to_string() }
}

/// A RECV of a socket where `before` has come.
fn recv(before: &[u8]) -> Result<(UnixStream, UnixStream, Entry)> {
    let (socket, mut peer) = UnixStream::pair()?;
    peer.write_all(before)?;
    let buffer = forever([0; 16]);
    let entry = opcode::Recv::new(Fd(socket.as_raw_fd()), buffer.as_mut_ptr(), 16).build();
    Ok((socket, peer, entry))
}

/// What a limit does when it is over before the operation begins, and what another limit does.
fn limits() -> Result<()> {
    for (before, what) in [(&b"here"[..], "4 bytes have come"), (b"", "nothing has come")] {
        let (_socket, _peer, recv) = recv(before)?;
        let limit = opcode::LinkTimeout::new(&PAST).flags(TimeoutFlags::ABS).build();
        let entries = [("RECV", recv.flags(Flags::IO_LINK)), ("LINK_TIMEOUT", limit)];
        // How a limit that comes too late ends, and which of the two is first, varies.
        let answer = format!("~{}", complete(&entries)?);
        say(&format!("LINK_TIMEOUT in the past, RECV, {what}"), &answer)?;
    }
    let (_socket, _peer, entry) = recv(b"")?;
    let entries = [("RECV", entry), ("TIMEOUT", timeout(&MOMENT, TimeoutFlags::empty(), 0))];
    say("RECV and a TIMEOUT of 5 ms, not linked", &complete(&entries)?)?;
    let (_socket, _peer, entry) = recv(b"")?;
    let entries = [
        ("TIMEOUT", timeout(&HOUR, TimeoutFlags::empty(), 2)),
        ("RECV", entry.flags(Flags::IO_LINK)),
        ("LINK_TIMEOUT", opcode::LinkTimeout::new(&MOMENT).build()),
    ];
    let answer = complete(&entries)?;
    // RECV and LINK_TIMEOUT come first, in either order.
    let last = answer.rsplit(", then ").next().unwrap_or(&answer);
    say("TIMEOUT of an hour with count 2, a RECV and its LINK_TIMEOUT", last)?;

    let mut ring = IoUring::new(8)?;
    let (_socket, _peer, entry) = recv(b"")?;
    push(&mut ring, entry, 0)?;
    for question in ["a wait of 5 ms, a RECV to submit", "a wait of 5 ms, nothing to submit"] {
        let returned = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&MOMENT));
        let errno = |error: io::Error| -error.raw_os_error().unwrap_or_default();
        let returned = returned.map_or_else(errno, |submitted| submitted as i32);
        let waits = if ring.completion().is_empty() { "RECV waits on" } else { "RECV ends" };
        say(question, &format!("the call returns {}; {waits}", in_words(returned)))?;
    }
    Ok(())
}

/// What a cancel finds.
fn cancels() -> Result<()> {
    let cancel = |user_data| ("ASYNC_CANCEL", opcode::AsyncCancel::new(user_data).build());
    say("ASYNC_CANCEL of what is not there", &complete(&[cancel(404)])?)?;
    let (_socket, _peer, entry) = recv(b"")?;
    say(
        "RECV and its ASYNC_CANCEL in one submit",
        &complete(&[("RECV", entry.clone()), cancel(0)])?,
    )?;
    let chain =
        [("RECV", entry.clone().flags(Flags::IO_LINK)), ("NOP", opcode::Nop::new().build())];
    let [recv, nop] = chain;
    say("ASYNC_CANCEL of the second of a chain", &complete(&[recv, nop, cancel(1)])?)?;
    let deferred = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(8);
    for (kind, ring) in [("a plain ring", IoUring::new(8)), ("DEFER_TASKRUN", deferred)] {
        let mut there = "this kernel lacks it".to_string();
        if let Ok(mut ring) = ring {
            for entry in [("RECV", entry.clone()), cancel(0)] {
                push(&mut ring, entry.1, u64::from(entry.0 != "RECV"))?;
                ring.submit()?;
            }
            let names =
                ring.completion().map(|it| ["RECV", "ASYNC_CANCEL"][it.user_data() as usize]);
            there = names.collect::<Vec<_>>().join(", then ");
        }
        say(&format!("completions when the submit of ASYNC_CANCEL returns, {kind}"), &there)?;
    }
    let mut ring = IoUring::new(8)?;
    for (how, key) in
        [("", CancelBuilder::user_data(0)), (" ALL", CancelBuilder::user_data(0).all())]
    {
        push(&mut ring, entry.clone(), 0)?;
        push(&mut ring, entry.clone(), 0)?;
        push(&mut ring, opcode::AsyncCancel2::new(key).build(), 1)?;
        ring.submit_and_wait(1)?;
        sleep(Duration::from_millis(50));
        ring.submit()?;
        let (cancels, others): (Vec<_>, Vec<_>) =
            ring.completion().map(|it| (it.user_data(), it.result())).partition(|it| it.0 == 1);
        let answer = in_words(cancels.first().map_or(0, |it| it.1));
        let ended = others.iter().filter(|it| it.1 == -libc::ECANCELED).count();
        say(
            &format!("ASYNC_CANCEL{how} of a user_data that two RECVs have"),
            &format!("ASYNC_CANCEL {answer}, {ended} RECVs ECANCELED"),
        )?;
        ring = IoUring::new(8)?;
    }
    Ok(())
}

/// A byte comes at about the moment of the cancel, again and again. Where is it then?
fn race() -> Result<()> {
    const ROUNDS: usize = 300;
    let mut ring = IoUring::new(8)?;
    let (mut lost, byte) = (0, forever([0_u8]));
    for round in 0..ROUNDS {
        let (socket, mut peer) = UnixStream::pair()?;
        let recv = opcode::Recv::new(Fd(socket.as_raw_fd()), byte.as_mut_ptr(), 1).build();
        push(&mut ring, recv, 0)?;
        ring.submit()?;
        let sender = thread::spawn(move || peer.write_all(b"x").map(|()| peer));
        (0..round * 10).for_each(std::hint::black_box(drop));
        push(&mut ring, opcode::AsyncCancel::new(0).build(), 1)?;
        ring.submit_and_wait(2)?;
        let _peer = sender.join().expect("it does not panic")?;
        let recv = ring.completion().find(|it| it.user_data() == 0).expect("both have completed");
        let mut left = 0;
        if recv.result() != 1 {
            socket.set_nonblocking(true)?;
            left = nix::unistd::read(&socket, &mut [0; 2]).unwrap_or(0);
        }
        lost += usize::from(recv.result() != 1 && left != 1);
    }
    say(
        &format!("RECV, its cancel and a byte at once, {ROUNDS} times"),
        &format!("{lost} bytes lost"),
    )
}

/// A worker reads a large file. Is its memory still written to after the means have answered?
fn memory() -> Result<()> {
    let means: [(&str, End); 3] = [
        ("the completion of ASYNC_CANCEL", |mut ring| {
            push(&mut ring, opcode::AsyncCancel::new(0).build(), 1)?;
            ring.submit_and_wait(1)?;
            Ok(Some(ring))
        }),
        ("the return of a sync cancel", |ring| {
            let (limit, key) = (Timespec::new().sec(5), CancelBuilder::user_data(0));
            match ring.submitter().register_sync_cancel(Some(limit), key) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(error.into()),
                _ => Ok(Some(ring)),
            }
        }),
        ("the close of the ring", |ring| {
            drop(ring);
            Ok(None)
        }),
    ];
    for (name, end) in means {
        // Now and then the READ is over before this thread gets to look: so look more than once.
        let mut answers = (0..20).map(|_| is_written_after(end));
        let answer = match answers.find(|answer| !matches!(answer, Ok(false))) {
            Some(Ok(_)) => "yes",
            Some(Err(_)) => "this kernel lacks it",
            None => "no, the READ is over",
        };
        say(&format!("READ by a worker, is memory written after {name}"), answer)?;
    }
    Ok(())
}

/// Ends what a ring has in flight. The ring, if it is still there.
type End = fn(IoUring) -> Result<Option<IoUring>>;

fn is_written_after(end: End) -> Result<bool> {
    let (_file, entry, watched) = large_read()?;
    let mut ring = IoUring::new(8)?;
    push(&mut ring, entry, 0)?;
    ring.submit()?;
    let came = |byte: &AtomicU8| byte.load(Ordering::Relaxed) == 7;
    while !came(watched.first) {
        thread::yield_now();
    }
    let _ring = end(ring)?;
    let was_there = came(watched.last);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !came(watched.last) && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
    }
    Ok(!was_there && came(watched.last))
}
