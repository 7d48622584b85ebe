//! A ring and an eventfd, a ring in an epoll loop, and epoll in a ring.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use common::memory::forever;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::write;

use super::{NOT_COMING, Question, arrives, completion, deferred, get_events, pipe};
use super::{patiently, plain, result, submit};

pub const QUESTIONS: &[Question] = &[
    ("eventfd, 5 NOPs in one submit", || signals_of_nops(false, Flags::empty())),
    ("eventfd_async, 5 NOPs in one submit", || signals_of_nops(true, Flags::empty())),
    ("eventfd_async, 5 NOPs with IOSQE_ASYNC", || signals_of_nops(true, Flags::ASYNC)),
    ("eventfd, 3 polls fire", || signals_of_polls(false)),
    ("eventfd_async, 3 polls fire", || signals_of_polls(true)),
    ("eventfd, a message comes", message),
    ("epoll_wait for a ring, a poll in it fires", || in_epoll(plain)),
    ("epoll_wait for a ring with DEFER_TASKRUN", || in_epoll(deferred)),
    ("epoll_wait for the eventfd of a ring with DEFER_TASKRUN", eventfd_in_epoll),
    ("epoll_wait again, the completions not reaped", || again(EpollFlags::EPOLLIN)),
    ("epoll_wait again, the completions not reaped, EPOLLET", || {
        again(EpollFlags::EPOLLIN | EpollFlags::EPOLLET)
    }),
    ("epoll_wait for something else, a poll in a ring fires", || interrupted(plain)),
    ("epoll_wait for something else, COOP_TASKRUN", || interrupted(cooperative)),
    ("epoll_wait for something else, DEFER_TASKRUN", || interrupted(deferred)),
    ("epoll_wait, after a ring was closed", closed),
    ("EPOLL_WAIT, an event comes", epoll_wait),
    ("POLL_ADD of an epoll descriptor", poll_epoll),
    ("POLL_ADD of another ring", poll_ring),
    ("POLL_ADD of the ring itself", poll_itself),
];

fn eventfd() -> Result<EventFd> {
    Ok(EventFd::from_flags(EfdFlags::EFD_NONBLOCK)?)
}

/// The count of an eventfd, which is 0 afterwards.
fn count(eventfd: &EventFd) -> u64 {
    eventfd.read().unwrap_or(0)
}

fn register(ring: &IoUring, eventfd: &EventFd, only_async: bool) -> Result<()> {
    let submitter = ring.submitter();
    if only_async {
        submitter.register_eventfd_async(eventfd.as_raw_fd())?;
    } else {
        submitter.register_eventfd(eventfd.as_raw_fd())?;
    }
    Ok(())
}

fn signals_of_nops(only_async: bool, flags: Flags) -> Result<String> {
    let (mut ring, eventfd) = (plain()?, eventfd()?);
    register(&ring, &eventfd, only_async)?;
    for _ in 0..4 {
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&opcode::Nop::new().build().flags(flags)) }?;
    }
    submit(&mut ring, opcode::Nop::new().build().flags(flags))?;
    ring.submit_and_wait(5)?;
    Ok(format!("completions {}, signals {}", ring.completion().count(), count(&eventfd)))
}

/// Three polls in a ring, and the pipes that they wait for.
fn three_polls(ring: &mut IoUring) -> Result<Pipes> {
    (0..3)
        .map(|_| {
            let pipe = pipe()?;
            submit(
                ring,
                opcode::PollAdd::new(Fd(pipe.0.as_raw_fd()), libc::POLLIN as u32).build(),
            )?;
            Ok(pipe)
        })
        .collect()
}

fn signals_of_polls(only_async: bool) -> Result<String> {
    let (mut ring, eventfd) = (plain()?, eventfd()?);
    register(&ring, &eventfd, only_async)?;
    let pipes = three_polls(&mut ring)?;
    for (_, writer) in &pipes {
        write(writer, b"x")?;
    }
    let signals = count(&eventfd);
    get_events(&ring)?;
    Ok(format!("signals {signals}, then completions {}", ring.completion().count()))
}

fn message() -> Result<String> {
    let (mut sender, mut ring, eventfd) = (plain()?, plain()?, eventfd()?);
    register(&ring, &eventfd, false)?;
    submit(&mut sender, opcode::MsgRingData::new(Fd(ring.as_raw_fd()), 42, 1, None).build())?;
    let sent = completion(&mut sender)?;
    anyhow::ensure!(sent.result() == 0, "{}", result(&sent));
    Ok(format!("completions {}, signals {}", ring.completion().count(), count(&eventfd)))
}

fn epoll_of(fd: impl AsFd, flags: EpollFlags) -> Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(fd, EpollEvent::new(flags, 1))?;
    Ok(epoll)
}

fn epoll_of_ring(ring: &IoUring, flags: EpollFlags) -> Result<Epoll> {
    // SAFETY: the ring is borrowed, so its descriptor stays open.
    epoll_of(unsafe { std::os::fd::BorrowedFd::borrow_raw(ring.as_raw_fd()) }, flags)
}

fn events(epoll: &Epoll) -> Result<usize> {
    let timeout = EpollTimeout::from(2 * NOT_COMING);
    Ok(patiently(|| epoll.wait(&mut [EpollEvent::empty(); 4], timeout))?)
}

/// A thread sleeps in epoll_wait for its ring, and a poll in that ring fires.
fn in_epoll(make: fn() -> Result<IoUring>) -> Result<String> {
    let ring = make()?;
    let epoll = epoll_of_ring(&ring, EpollFlags::EPOLLIN)?;
    sleep_in(&epoll, ring)
}

fn eventfd_in_epoll() -> Result<String> {
    let (ring, eventfd) = (deferred()?, eventfd()?);
    register(&ring, &eventfd, false)?;
    let epoll = epoll_of(&eventfd, EpollFlags::EPOLLIN)?;
    sleep_in(&epoll, ring)
}

fn sleep_in(epoll: &Epoll, mut ring: IoUring) -> Result<String> {
    let writer = write_later(three_polls(&mut ring)?);
    let woken = if events(epoll)? > 0 { "woken" } else { "not woken" };
    let _pipes = writer.join().expect("it does not panic")?;
    let in_memory = ring.completion().len();
    get_events(&ring)?;
    let entered = ring.completion().len();
    Ok(format!("{woken}; completions in memory {in_memory}, after an enter {entered}"))
}

type Pipes = Vec<(OwnedFd, OwnedFd)>;

/// Fires the first of these polls, when the thread that waits is asleep.
fn write_later(pipes: Pipes) -> JoinHandle<nix::Result<Pipes>> {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(u64::from(NOT_COMING)));
        write(&pipes[0].1, b"x").map(|_| pipes)
    })
}

fn again(flags: EpollFlags) -> Result<String> {
    let mut ring = plain()?;
    let epoll = epoll_of_ring(&ring, flags)?;
    submit(&mut ring, opcode::Nop::new().build())?;
    let (first, second) = (events(&epoll)?, events(&epoll)?);
    submit(&mut ring, opcode::Nop::new().build())?;
    let third = events(&epoll)?;
    Ok(format!("ready {first}, then {second}, after one more completion {third}"))
}

/// A thread sleeps in epoll_wait, for something else than its ring. A poll in the ring fires.
fn interrupted(make: fn() -> Result<IoUring>) -> Result<String> {
    let mut ring = make()?;
    settle()?;
    let (elsewhere, _writer) = pipe()?;
    let epoll = epoll_of(&elsewhere, EpollFlags::EPOLLIN)?;
    let writer = write_later(three_polls(&mut ring)?);
    let slept = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::from(2 * NOT_COMING));
    writer.join().expect("it does not panic")?;
    Ok(slept.map_or_else(|errno| format!("{errno:?}"), |events| format!("{events} events")))
}

/// Waits until the kernel is done with rings that were closed.
fn settle() -> Result<()> {
    let (elsewhere, _writer) = pipe()?;
    let epoll = epoll_of(&elsewhere, EpollFlags::EPOLLIN)?;
    events(&epoll).map(drop)
}

fn closed() -> Result<String> {
    settle()?;
    let (elsewhere, _writer) = pipe()?;
    let epoll = epoll_of(&elsewhere, EpollFlags::EPOLLIN)?;
    drop(plain()?);
    let slept = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::from(NOT_COMING));
    Ok(slept.map_or_else(|errno| format!("{errno:?}"), |events| format!("{events} events")))
}

fn cooperative() -> Result<IoUring> {
    IoUring::builder().setup_coop_taskrun().build(8).context("COOP_TASKRUN")
}

fn epoll_wait() -> Result<String> {
    let mut ring = plain()?;
    let (reader, writer) = pipe()?;
    let epoll = epoll_of(&reader, EpollFlags::EPOLLIN)?;
    let events = forever([libc::epoll_event { events: 0, u64: 0 }; 4]).as_mut_ptr();
    submit(&mut ring, opcode::EpollWait::new(Fd(epoll.0.as_raw_fd()), events.cast(), 4).build())?;
    let early = arrives(&mut ring, NOT_COMING)?;
    if let Some(early) = early {
        anyhow::bail!("{}", result(&early));
    }
    write(&writer, b"x")?;
    Ok(format!("{} event", result(&completion(&mut ring)?)))
}

fn poll_epoll() -> Result<String> {
    let mut ring = plain()?;
    let (reader, writer) = pipe()?;
    let epoll = epoll_of(&reader, EpollFlags::EPOLLIN)?;
    submit(&mut ring, opcode::PollAdd::new(Fd(epoll.0.as_raw_fd()), libc::POLLIN as u32).build())?;
    let early = arrives(&mut ring, NOT_COMING)?.is_some();
    write(&writer, b"x")?;
    let late = completion(&mut ring)?.result() == i32::from(libc::POLLIN);
    Ok(format!("completes {}", if !early && late { "when epoll has an event" } else { "early" }))
}

fn poll_ring() -> Result<String> {
    let (mut ring, mut other) = (plain()?, plain()?);
    submit(&mut ring, opcode::PollAdd::new(Fd(other.as_raw_fd()), libc::POLLIN as u32).build())?;
    let early = arrives(&mut ring, NOT_COMING)?.is_some();
    submit(&mut other, opcode::Nop::new().build())?;
    let late = completion(&mut ring)?.result() == i32::from(libc::POLLIN);
    Ok(format!("completes {}", if !early && late { "when that has a completion" } else { "early" }))
}

fn poll_itself() -> Result<String> {
    let mut ring = plain()?;
    let poll = opcode::PollAdd::new(Fd(ring.as_raw_fd()), libc::POLLIN as u32).build();
    submit(&mut ring, poll.user_data(1))?;
    submit(&mut ring, opcode::Nop::new().build())?;
    std::thread::sleep(std::time::Duration::from_millis(u64::from(NOT_COMING)));
    get_events(&ring)?;
    let polled = ring.completion().find(|completion| completion.user_data() == 1);
    Ok(polled.map_or("silent".into(), |polled| result(&polled)))
}
