//! Waking a thread that waits in its ring, and what a message does.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::{io, ptr, thread};

use anyhow::{Context, Result, ensure};
use common::memory::forever;
use io_uring::squeue::{self, Flags};
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::eventfd::EventFd;

use super::NOT_COMING;
use super::{Question, arrives, completion, deferred, pipe, plain, result, submit};

/// To be asked while the program has one thread. A poller of a ring is a thread, too.
pub const ALONE: &[Question] =
    &[("futex, private FUTEX_WAIT, then the first thread starts and wakes it", first_thread)];

pub const QUESTIONS: &[Question] = &[
    ("wake by MSG_RING", || wake(Means::Message { silent: false })),
    ("wake by MSG_RING, CQE_SKIP_SUCCESS", || wake(Means::Message { silent: true })),
    ("wake by REGISTER_SEND_MSG_RING", || wake(Means::WithoutRing)),
    ("wake by a write to an eventfd", || wake(Means::EventFd)),
    ("wake by futex(2)", || wake(Means::Futex)),
    ("wake by a NOP in the sleeper's own ring", || wake(Means::Nop)),
    ("futex, shared FUTEX_WAIT, private wake", || futex_flags(SHARED, libc::FUTEX_PRIVATE_FLAG)),
    ("futex, private FUTEX_WAIT, shared wake", || futex_flags(PRIVATE, 0)),
    ("message to the ring itself", to_itself),
    ("message to a full completion queue", to_a_full_queue),
    ("message with a file, then CLOSE of the sender's slot", still_there),
    ("message with a file, no slot is free there", no_slot),
    ("message to a thread that does not enter", || busy_receiver(plain()?)),
    ("message to a thread that does not enter, DEFER_TASKRUN", || busy_receiver(deferred()?)),
];

const ROUNDS: u64 = 10;
/// `FUTEX2_SIZE_U32`, and `FUTEX2_PRIVATE` with it.
const SHARED: u32 = 2;
const PRIVATE: u32 = 2 | 128;
/// `FUTEX_BITSET_MATCH_ANY`.
const ANY: u64 = u32::MAX as u64;

/// How a thread wakes another one, which waits in its ring.
#[derive(Clone, Copy)]
enum Means {
    Message { silent: bool },
    WithoutRing,
    EventFd,
    Futex,
    Nop,
}

/// What a thread asked of the kernel.
#[derive(Default)]
struct Counts {
    calls: u64,
    entries: u64,
    completions: u64,
}

impl Counts {
    /// What it took to wake once, without what it took none of.
    fn each_time(&self) -> Result<String> {
        let all = [(self.calls, "call"), (self.entries, "entry"), (self.completions, "completion")];
        ensure!(all.iter().all(|(count, _)| count % ROUNDS == 0), "not the same each time");
        let words = all.iter().filter(|(count, _)| *count > 0);
        let words = words.map(|(count, name)| format!("{} {name}", count / ROUNDS));
        Ok(words.collect::<Vec<_>>().join(", "))
    }
}

/// Wakes a thread ten times. It waits again each time, before it is woken.
fn wake(means: Means) -> Result<String> {
    let word = &*forever(AtomicU32::new(0));
    let eventfd = &*forever(EventFd::new()?);
    let mut ring = plain()?;
    let sleeper_ring = forever(plain()?);
    let sleeper_fd = sleeper_ring.as_raw_fd();
    let sleeper_ring = &*sleeper_ring;
    let (ready, is_ready) = mpsc::channel();
    let sleeper = thread::spawn(move || sleep(means, sleeper_ring, word, eventfd, &ready));
    let mut waker = Counts::default();
    while let Ok(round) = is_ready.recv() {
        let message = opcode::MsgRingData::new(Fd(sleeper_fd), round, 0, None).build();
        waker.calls += 1;
        match means {
            Means::Message { silent } => {
                let flags = if silent { Flags::SKIP_SUCCESS } else { Flags::empty() };
                submit(&mut ring, message.flags(flags))?;
                waker.entries += 1;
                for completion in ring.completion() {
                    ensure!(completion.result() == 0, "{}", result(&completion));
                    waker.completions += 1;
                }
            }
            Means::WithoutRing => send_without_ring(&message)?,
            Means::EventFd => drop(eventfd.write(1)?),
            Means::Futex => {
                word.fetch_add(1, Ordering::Release);
                futex_wake(word, 0)?;
            }
            Means::Nop => {
                // SAFETY: only this thread pushes to that ring, and the other one only reaps.
                unsafe { sleeper_ring.submission_shared().push(&opcode::Nop::new().build()) }?;
                sleeper_ring.submit()?;
                waker.entries += 1;
            }
        }
    }
    let sleeper = sleeper.join().expect("it does not panic")?;
    Ok(format!("{}; the sleeper {}", waker.each_time()?, sleeper.each_time()?))
}

/// The thread that is woken. An eventfd and a futex need an entry each time; a message does not.
fn sleep(
    means: Means,
    ring: &IoUring,
    word: &'static AtomicU32,
    eventfd: &EventFd,
    ready: &mpsc::Sender<i32>,
) -> Result<Counts> {
    let count = forever(0_u64);
    let mut counts = Counts::default();
    for round in 0..ROUNDS {
        let entry = match means {
            Means::EventFd => {
                let place = ptr::from_mut(count).cast();
                Some(opcode::Read::new(Fd(eventfd.as_raw_fd()), place, 8).build())
            }
            Means::Futex => {
                let seen = u64::from(word.load(Ordering::Acquire));
                Some(opcode::FutexWait::new(word.as_ptr(), seen, ANY, SHARED).build())
            }
            _ => None,
        };
        if let Some(entry) = entry {
            // SAFETY: the count and the word are never freed; this thread alone uses the ring.
            unsafe { ring.submission_shared().push(&entry) }?;
            counts.entries += 1;
        }
        ready.send(round as i32)?;
        counts.calls += 1;
        ring.submit_and_wait(1)?;
        // SAFETY: this thread alone reaps.
        for completion in unsafe { ring.completion_shared() } {
            // EAGAIN: the futex has another value already.
            let woken = completion.result() >= 0 || completion.result() == -libc::EAGAIN;
            ensure!(woken, "{}", result(&completion));
            counts.completions += 1;
        }
    }
    Ok(counts)
}

/// `IORING_REGISTER_SEND_MSG_RING`: a message from a thread that has no ring.
fn send_without_ring(message: &squeue::Entry) -> Result<()> {
    const SEND_MSG_RING: u32 = 31;
    let message = ptr::from_ref(message);
    // SAFETY: the kernel reads the entry in the call, and a message points at no memory.
    let sent = unsafe { libc::syscall(libc::SYS_io_uring_register, -1, SEND_MSG_RING, message, 1) };
    Errno::result(sent).map(drop).context("REGISTER_SEND_MSG_RING")
}

/// Wakes one who waits on a futex, by futex(2). How many it woke.
fn futex_wake(word: &AtomicU32, flag: i32) -> io::Result<i64> {
    // SAFETY: the kernel looks for the address among those who wait, and does not read it.
    let woken =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | flag, 1) };
    Ok(Errno::result(woken)?)
}

fn futex_wait(ring: &mut IoUring, flags: u32) -> Result<&'static AtomicU32> {
    let word = &*forever(AtomicU32::new(0));
    submit(ring, opcode::FutexWait::new(word.as_ptr(), 0, ANY, flags).build())?;
    if let Some(completion) = arrives(ring, NOT_COMING)? {
        anyhow::bail!(result(&completion));
    }
    Ok(word)
}

fn futex_flags(wait: u32, flag: i32) -> Result<String> {
    let word = futex_wait(&mut plain()?, wait);
    let woken = futex_wake(word?, flag)?;
    Ok(format!("woke {woken}"))
}

fn first_thread() -> Result<String> {
    let mut ring = plain()?;
    let word = futex_wait(&mut ring, PRIVATE)?;
    let woken = thread::spawn(|| futex_wake(word, libc::FUTEX_PRIVATE_FLAG)).join();
    Ok(format!("woke {}", woken.expect("it does not panic")?))
}

fn to_itself() -> Result<String> {
    let mut ring = plain()?;
    let message = opcode::MsgRingData::new(Fd(ring.as_raw_fd()), 42, 1, None);
    submit(&mut ring, message.build())?;
    let all: Vec<String> = ring.completion().map(|it| result(&it)).collect();
    ensure!(all.len() == 2, "{}", all.join(" and "));
    Ok(format!("completions {}", all.join(" and ")))
}

fn to_a_full_queue() -> Result<String> {
    let mut receiver = plain()?;
    for _ in 0..receiver.params().cq_entries() {
        submit(&mut receiver, opcode::Nop::new().build())?;
    }
    let mut sender = plain()?;
    let message = opcode::MsgRingData::new(Fd(receiver.as_raw_fd()), 42, 1, None);
    submit(&mut sender, message.build())?;
    let sent = result(&completion(&mut sender)?);
    ensure!(sent == "0", "{sent}");
    let full = receiver.completion().count();
    super::get_events(&receiver)?;
    let later = receiver.completion().map(|it| result(&it)).collect::<Vec<_>>().join(", ");
    Ok(format!("{full} others are reaped, and it comes: {later}"))
}

/// Sends the reading end of a pipe, which is in slot 0 of the sender.
fn send_file(sender: &mut IoUring, receiver: &IoUring) -> Result<()> {
    let (reader, _writer) = pipe()?;
    sender.submitter().register_files(&[reader.as_raw_fd()])?;
    let to = Fd(receiver.as_raw_fd());
    let file = opcode::MsgRingSendFd::new(to, Fixed(0), DestinationSlot::auto_target(), 1);
    submit(sender, file.build())?;
    Ok(())
}

fn still_there() -> Result<String> {
    let (mut sender, receiver) = (plain()?, plain()?);
    receiver.submitter().register_files(&[-1])?;
    send_file(&mut sender, &receiver)?;
    let sent = result(&completion(&mut sender)?);
    ensure!(sent == "0", "{sent}");
    submit(&mut sender, opcode::Close::new(Fixed(0)).build())?;
    Ok(format!("it is still there: CLOSE {}", result(&completion(&mut sender)?)))
}

fn no_slot() -> Result<String> {
    let (mut sender, receiver) = (plain()?, plain()?);
    receiver.submitter().register_files(&[-1])?;
    let (taken, _other) = pipe()?;
    receiver.submitter().register_files_update(0, &[taken.as_raw_fd()])?;
    send_file(&mut sender, &receiver)?;
    Ok(result(&completion(&mut sender)?))
}

fn busy_receiver(mut receiver: IoUring) -> Result<String> {
    let mut sender = plain()?;
    let message = opcode::MsgRingData::new(Fd(receiver.as_raw_fd()), 42, 1, None);
    submit(&mut sender, message.build())?;
    let sent = result(&completion(&mut sender)?);
    ensure!(sent == "0", "{sent}");
    let in_memory = receiver.completion().len();
    super::get_events(&receiver)?;
    let entered = receiver.completion().len();
    Ok(format!("in memory {in_memory}, after an enter {entered}"))
}
