//! Where the kernel runs operations: the measurements of the chapter *Where does it run?*
//!
//! ```text
//! cargo run -p day04 --example where_answers -- /var/tmp
//! ```
//!
//! It works on files of its own in that folder (without one, the current one) and removes them.
//! Each question has a thread and a ring of its own: workers belong to the thread that submits.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, pipe};

mod workers;

/// How many operations of a kind are submitted at once.
const MANY: usize = 32;
const MIB: usize = 1 << 20;
/// A question is answered when nothing has changed for so long.
const QUIET: Duration = Duration::from_secs(1);
/// The offset for "where the file's own position is", and for a pipe.
const HERE: u64 = u64::MAX;

/// Asks the kernel where it runs operations, and prints its answers
#[derive(Parser)]
struct Options {
    /// Where the files are made, and removed again
    #[arg(default_value = ".")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(&Options::parse().folder))
}

fn run(folder: &Path) -> Result<()> {
    let folder = folder.join(format!("where_answers.{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let answered = answers(&folder, &folder.join("fifo"));
    fs::remove_dir_all(&folder)?;
    answered
}

fn answers(folder: &Path, fifo: &Path) -> Result<()> {
    mkfifo(fifo, Mode::S_IRWXU)?;
    places(folder, fifo)?;
    pools(folder, fifo)?;
    payers()?;
    afterwards()
}

fn say(question: &str, answer: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{question}: {answer}")?)
}

/// 32 operations of each kind. Were they done in the submit, or later, and by how many workers?
fn places(folder: &Path, fifo: &Path) -> Result<()> {
    let (silent, _writer) = pipe()?;
    let (_reader, sink) = pipe()?;
    let (socket, _peer) = UnixStream::pair()?;
    let [pipe, sink, socket] = [silent.as_raw_fd(), sink.as_raw_fd(), socket.as_raw_fd()].map(Fd);
    let bytes = forever(vec![0_u8; MANY * 4096]).as_mut_ptr();
    let place = |nth: usize| bytes.wrapping_add(nth * 4096);
    let (path, file) = large_file(folder)?;
    let fd = Fd(file.as_raw_fd());
    let here = Fd(libc::AT_FDCWD);
    let name = |name: &str, nth| c_path(&folder.join(format!("{name} {nth}"))).as_ptr();

    let read_pipe = |nth| opcode::Read::new(pipe, place(nth), 1).offset(HERE).build();
    let splice = |_| opcode::Splice::new(pipe, -1, sink, -1, 1).build();
    let read = |fd, nth| opcode::Read::new(fd, place(nth), 4096).offset((nth * MIB) as u64).build();
    let any = [0, 0];
    ask("RECV, a silent socket", any, |nth| opcode::Recv::new(socket, place(nth), 1).build())?;
    ask("READ, a silent pipe", any, read_pipe)?;
    ask("READ, a silent pipe, ASYNC", any, |nth| read_pipe(nth).flags(Flags::ASYNC))?;
    ask("SPLICE, a silent pipe", any, splice)?;
    ask("SPLICE, at most 4 bounded workers", [4, 0], splice)?;
    ask("SPLICE, at most 4 unbounded workers", [0, 4], splice)?;
    let poll = || opcode::PollAdd::new(pipe, libc::POLLIN as u32).build().flags(Flags::IO_LINK);
    ask(
        "POLL_ADD, linked to a SPLICE",
        any,
        |nth| if nth % 2 == 0 { poll() } else { splice(nth) },
    )?;
    ask("READ, a file in the page cache", any, |nth| read(fd, nth))?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    ask("READ, a file that left the page cache", any, |nth| read(fd, nth))?;
    let memory = File::from(memfd_create(c"memory", MFdFlags::MFD_CLOEXEC)?);
    memory.set_len((MANY * MIB) as u64)?;
    ask("READ, a file of tmpfs", any, |nth| read(Fd(memory.as_raw_fd()), nth))?;
    let write = |nth| opcode::Write::new(fd, place(nth), 4096).offset((nth * MIB) as u64).build();
    ask("WRITE, a file", any, write)?;
    ask("FSYNC, a file", any, |_| opcode::Fsync::new(fd).build())?;
    let statx = forever([const { std::mem::MaybeUninit::<libc::statx>::uninit() }; MANY]);
    let statx = statx.as_mut_ptr();
    let stat = |nth| opcode::Statx::new(here, path.as_ptr(), statx.wrapping_add(nth).cast());
    ask("STATX", any, |nth| stat(nth).build())?;
    ask("OPENAT, a file", any, |_| opcode::OpenAt::new(here, path.as_ptr()).build())?;
    let create = |nth| opcode::OpenAt::new(here, name("new", nth)).flags(libc::O_CREAT).build();
    ask("OPENAT, O_CREAT", any, create)?;
    let fifo_path = c_path(fifo);
    let open_fifo = |_| opcode::OpenAt::new(here, fifo_path.as_ptr()).build();
    ask("OPENAT, a FIFO that has no writer", any, open_fifo)?;
    let mkdir = |nth| opcode::MkDirAt::new(here, name("folder", nth)).mode(0o700).build();
    ask("MKDIRAT", any, mkdir)?;
    let sockets = forever([(); MANY].map(|()| UnixStream::pair()));
    let shutdown = |nth: usize| {
        let socket = sockets[nth].as_ref().map_or(-1, |(socket, _)| socket.as_raw_fd());
        opcode::Shutdown::new(Fd(socket), libc::SHUT_WR).build()
    };
    ask("SHUTDOWN, a socket", any, shutdown)
}

/// Submits the entries of one kind from a thread of its own, and says where they went.
fn ask(question: &str, limits: [u32; 2], entry: impl Fn(usize) -> Entry) -> Result<()> {
    let entries: Vec<Entry> = (0..MANY).map(entry).collect();
    let answer = in_new_thread(|| {
        let mut ring = ring_of_its_own(&RingOptions::default(), limits)?;
        push(&mut ring, &entries)?;
        // With DEFER_TASKRUN, nothing but what is done in here is in the queue afterwards.
        ring.submit()?;
        let at_once = ring.completion().len();
        let workers = until_quiet(&mut ring, MANY)?;
        let done = ring.completion().len();
        if ring.completion().all(|completion| completion.result() == -libc::EINVAL) && done > 0 {
            return Ok("not on this kernel".to_string());
        }
        Ok(match (at_once, done, workers) {
            (MANY, _, 0) => "at once".to_string(),
            (_, 0, 0) => "they wait, no worker".to_string(),
            (_, 0, 4 | MANY) => format!("they wait, {workers} workers"),
            (_, 0, _) => "they wait, fewer workers".to_string(),
            (_, MANY, 0) => "later, without a worker".to_string(),
            (_, MANY, _) => "by workers".to_string(),
            _ => format!("{at_once} at once, {done} in the end, {workers} workers"),
        })
    })?;
    say(&format!("{MANY}, {question}"), &answer)
}

/// A FIFO without a writer holds the only bounded worker. What is done all the same was
/// given to the unbounded pool.
fn pools(folder: &Path, fifo: &Path) -> Result<()> {
    let (path, file) = large_file(folder)?;
    let ((reader, writer), (socket, _peer)) = (pipe()?, UnixStream::pair()?);
    nix::unistd::write(&writer, b"bytes")?;
    let [fd, reader] = [file.as_raw_fd(), reader.as_raw_fd()].map(Fd);
    let (socket, here) = (Fd(socket.as_raw_fd()), Fd(libc::AT_FDCWD));
    let bytes = forever([0_u8; 64]).as_mut_ptr();
    let held = opcode::OpenAt::new(here, c_path(fifo).as_ptr()).build();
    let asked = [
        ("READ of a file, ASYNC", opcode::Read::new(fd, bytes, 1).build()),
        ("WRITE to a file, ASYNC", opcode::Write::new(fd, bytes, 1).build()),
        ("OPENAT, ASYNC", opcode::OpenAt::new(here, path.as_ptr()).build()),
        ("FSYNC, ASYNC", opcode::Fsync::new(fd).build()),
        ("READ of a pipe, ASYNC", opcode::Read::new(reader, bytes, 1).offset(HERE).build()),
        ("SEND, ASYNC", opcode::Send::new(socket, bytes, 1).build()),
        ("SHUTDOWN, ASYNC", opcode::Shutdown::new(socket, libc::SHUT_WR).build()),
    ];
    let mut entries: Vec<Entry> = vec![held];
    entries.extend(asked.iter().map(|(_, entry)| entry.clone()));
    let entries: Vec<Entry> =
        (0..).zip(entries).map(|(nth, entry)| entry.flags(Flags::ASYNC).user_data(nth)).collect();
    let done = in_new_thread(|| {
        let mut ring = ring_of_its_own(&RingOptions::default(), [1, 1])?;
        push(&mut ring, &entries)?;
        ring.submit()?;
        until_quiet(&mut ring, entries.len())?;
        let done: Vec<_> = ring.completion().map(|completion| completion.user_data()).collect();
        // A thread cannot end while a bounded worker is busy: now the FIFO gets its writer.
        let _writer = File::options().read(true).write(true).open(fifo)?;
        until_quiet(&mut ring, entries.len() - done.len())?;
        Ok(done)
    })?;
    for (nth, (question, _)) in (1..).zip(&asked) {
        let pool = if done.contains(&nth) { "unbounded" } else { "bounded" };
        say(&format!("pool, {question}"), pool)?;
    }
    Ok(())
}

/// 16 MiB come through a socket. Whose CPU time does it take to receive them?
fn payers() -> Result<()> {
    let polled = RingOptions { sqpoll: true, ..RingOptions::default() };
    for (how, options) in [("no flag", RingOptions::default()), ("SQPOLL", polled)] {
        let (ours, mut theirs) = UnixStream::pair()?;
        let sender = thread::spawn(move || theirs.write_all(&vec![1; 16 * MIB]));
        let address = forever([0_u8; 64 << 10]).as_mut_ptr();
        let receive = opcode::Recv::new(Fd(ours.as_raw_fd()), address, 64 << 10).build();
        let payer = in_new_thread(|| {
            let mut ring = ring_of_its_own(&options, [0, 0])?;
            while until_done(&mut ring, receive.clone())? > 0 {}
            most_cpu_time()
        })?;
        drop(ours);
        sender.join().expect("it does not panic")?;
        say(&format!("whose time, RECV of 16 MiB, {how}"), payer)?;
    }
    for times in [100, 200] {
        let (ours, mut theirs) = UnixStream::pair()?;
        let address = forever([0_u8; 256]).as_mut_ptr();
        let receive = opcode::Recv::new(Fd(ours.as_raw_fd()), address, times);
        let receive = receive.flags(libc::MSG_WAITALL).build();
        let waiting = ours.try_clone()?;
        let sender = thread::spawn(move || -> Result<()> {
            for _ in 0..times {
                theirs.write_all(b"1")?;
                // Until it is taken, and so the ring was woken for it.
                while recv(
                    waiting.as_raw_fd(),
                    &mut [0],
                    MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT,
                )
                .is_ok()
                {
                    thread::yield_now();
                }
            }
            Ok(())
        });
        let workers = in_new_thread(|| {
            let mut ring = ring_of_its_own(&RingOptions::default(), [0, 0])?;
            until_done(&mut ring, receive.clone())?;
            Ok(match workers::count() {
                0 => "the thread that submitted",
                _ => "a worker, in the end",
            })
        })?;
        sender.join().expect("it does not panic")?;
        say(&format!("whose time, RECV with MSG_WAITALL, woken {times} times"), workers)?;
    }
    Ok(())
}

/// 32 workers have had something to do. How many are there 7 seconds later?
fn afterwards() -> Result<()> {
    let (silent, writer) = pipe()?;
    let (_reader, sink) = pipe()?;
    let [silent, sink] = [silent.as_raw_fd(), sink.as_raw_fd()].map(Fd);
    let splice = opcode::Splice::new(silent, -1, sink, -1, 1).build();
    let left = in_new_thread(|| {
        let mut ring = ring_of_its_own(&RingOptions::default(), [0, 0])?;
        push(&mut ring, &vec![splice.clone(); MANY])?;
        ring.submit()?;
        until_quiet(&mut ring, MANY)?;
        drop(writer); // The pipe's end: 32 times 0.
        until_quiet(&mut ring, MANY)?;
        let before = workers::count();
        thread::sleep(Duration::from_secs(7));
        Ok(format!("{} of {before}", workers::count()))
    })?;
    say("idle workers that are still there after 7 seconds", &left)
}

/// Runs it in a thread that has no workers yet, and that takes its own with it.
fn in_new_thread<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(run).join().expect("it does not panic"))
}

/// A ring, with limits of bounded and of unbounded workers; 0 leaves the kernel's.
fn ring_of_its_own(options: &RingOptions, mut limits: [u32; 2]) -> Result<IoUring> {
    let ring = ring::build_best(options, 2 * MANY as u32)?.0;
    if limits != [0, 0] {
        ring.submitter().register_iowq_max_workers(&mut limits).context("limiting workers")?;
    }
    Ok(ring)
}

fn push(ring: &mut IoUring, entries: &[Entry]) -> Result<()> {
    // SAFETY: the entries of this program point at memory that is never freed, and that nothing
    // else uses until they have completed.
    Ok(unsafe { ring.submission().push_multiple(entries) }?)
}

/// Submits an entry, waits for its completion, and returns the result.
fn until_done(ring: &mut IoUring, entry: Entry) -> Result<i32> {
    push(ring, &[entry])?;
    while let Err(error) = ring.submit_and_wait(1) {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error.into());
        }
    }
    Ok(ring.completion().next().context("no completion")?.result())
}

/// Waits until so many completions are there, or until nothing has changed for some time. The
/// most workers that the thread had.
fn until_quiet(ring: &mut IoUring, expected: usize) -> Result<usize> {
    let pause = Timespec::new().nsec(5_000_000);
    let (mut before, mut since, mut most) = ((0, 0), Instant::now(), 0);
    while since.elapsed() < QUIET && before.0 < expected {
        let more = ring.completion().len() + 1;
        // It ends with ETIME most times.
        let _ = ring.submitter().submit_with_args(more, &SubmitArgs::new().timespec(&pause));
        let now = (ring.completion().len(), workers::count());
        if now != before {
            (before, since) = (now, Instant::now());
        }
        most = most.max(now.1);
    }
    Ok(most)
}

/// The kind of thread that has used most CPU time: this one, or the kernel's that work for it.
fn most_cpu_time() -> Result<&'static str> {
    let of_kind = |prefix: &str| workers::cpu_times(prefix).into_iter().max();
    let kinds = [
        (workers::cpu_time("/proc/thread-self".into()), "the thread that submitted"),
        (of_kind("iou-wrk-"), "a worker"),
        (of_kind("iou-sqp-"), "the poller"),
    ];
    Ok(kinds.into_iter().max().map_or("unknown", |(_, kind)| kind))
}

/// A file of 32 MiB that is on the disk.
fn large_file(folder: &Path) -> Result<(&'static CStr, File)> {
    let path = folder.join("large");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    file.write_all_at(&vec![7; MANY * MIB], 0)?;
    file.sync_all()?;
    Ok((c_path(&path), file))
}

fn c_path(path: &Path) -> &'static CStr {
    let text: &'static CString =
        forever(CString::new(path.as_os_str().as_encoded_bytes()).expect("no path has a zero"));
    text
}
