//! The operations that are ended: each waits, or a worker thread is in the middle of it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::Result;
use common::memory::forever;
use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, Timespec};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, pause, pipe};

/// An operation that can be started.
pub struct Operation {
    pub entry: Entry,
    /// What it works on, if that is a descriptor.
    pub file: Option<OwnedFd>,
    /// Returns when a worker is in the middle of it. What no worker does waits from the submit on.
    pub begun: Box<dyn Fn()>,
    /// The number of bytes that is all of it, where there are many.
    pub length: usize,
    /// A worker does it.
    pub is_working: bool,
    /// Gives it, from the other end, what it waits for, if there is another end.
    pub feed: Option<Box<dyn Fn() -> Result<()>>>,
    /// Once it has ended with this result and was fed: what became of the bytes.
    pub look: Look,
    /// Once its process has ended: what is left of it.
    pub remains: Box<dyn Fn() -> Result<String>>,
}

/// What is left, from the result and what the operation worked on.
type Look = Box<dyn Fn(i32, Option<&OwnedFd>) -> Result<String>>;

/// Makes an operation.
pub type Make = fn() -> Result<Operation>;

/// All of them, by name.
pub const OPERATIONS: [(&str, Make); 15] = [
    ("RECV", recv),
    ("RECV with WAITALL, half has come", recv_half),
    ("RECV, multishot", recv_multishot),
    ("SEND, the socket is full", send_full),
    ("SEND with WAITALL, half has gone", send_half),
    ("ACCEPT", accept),
    ("CONNECT", connect),
    ("READ of a pipe", read_pipe),
    ("SPLICE from a pipe", splice),
    ("READ of a file by a worker", read_file),
    ("WRITE of a file by a worker", write_file),
    ("POLL_ADD", poll_add),
    ("TIMEOUT", timeout),
    ("FUTEX_WAIT", futex_wait),
    ("WAITID", waitid),
];

impl Operation {
    fn new(entry: Entry, file: Option<OwnedFd>) -> Operation {
        Operation {
            entry,
            file,
            begun: Box::new(|| ()),
            length: LARGE,
            is_working: false,
            feed: None,
            look: Box::new(|_, _| Ok(String::new())),
            remains: Box::new(|| Ok(String::new())),
        }
    }
}

/// The group of the one provided buffer, which is for `recv_multishot`.
pub const GROUP: u16 = 7;

const LATE: &[u8] = b"late";

fn buffer() -> *mut u8 {
    forever([0; 16]).as_mut_ptr()
}

/// Of the bytes that were sent, those are lost that the result does not tell and nobody can read.
fn lost(sent: usize, result: i32, file: Option<&OwnedFd>) -> Result<String> {
    let told = usize::try_from(result).unwrap_or(0);
    let mut left = [0; 64];
    // Here there is something to read, unless it is lost.
    let left = match file.map(|file| nonblocking(file).and_then(|file| (&file).read(&mut left))) {
        Some(Ok(length)) => length,
        _ => 0,
    };
    Ok(match sent - told - left {
        0 => "no byte lost".to_string(),
        lost => format!("{lost} bytes LOST"),
    })
}

/// Another handle of a file, which no read can block on.
fn nonblocking(file: &OwnedFd) -> io::Result<File> {
    let file = File::from(file.try_clone()?);
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    Ok(file)
}

fn recv_of(before: &'static [u8], entry: impl Fn(Fd) -> Entry) -> Result<Operation> {
    let (socket, peer) = UnixStream::pair()?;
    (&peer).write_all(before)?;
    let (peer, entry) = (Rc::new(peer), entry(Fd(socket.as_raw_fd())));
    let feeder = peer.clone();
    Ok(Operation {
        feed: Some(Box::new(move || Ok((&*feeder).write_all(LATE)?))),
        look: Box::new(|result, file| lost(before.len() + LATE.len(), result, file)),
        remains: Box::new(move || {
            Ok(format!("its peer reads {}", in_words((&*peer).read(&mut [0]))))
        }),
        ..Operation::new(entry, Some(socket.into()))
    })
}

fn in_words(result: io::Result<usize>) -> String {
    match result {
        Ok(0) => "the end of the file".to_string(),
        Ok(length) => length.to_string(),
        Err(error) => format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or_default())),
    }
}

fn recv() -> Result<Operation> {
    recv_of(b"", |fd| opcode::Recv::new(fd, buffer(), 16).build())
}

fn recv_half() -> Result<Operation> {
    recv_of(b"half", |fd| opcode::Recv::new(fd, buffer(), 8).flags(libc::MSG_WAITALL).build())
}

fn recv_multishot() -> Result<Operation> {
    recv_of(b"", |fd| opcode::RecvMulti::new(fd, GROUP).build())
}

/// A SEND of so many bytes; the socket may be full before.
fn send_of(length: usize, is_full: bool) -> Result<Operation> {
    let (socket, peer) = UnixStream::pair()?;
    let mut before = 0;
    if is_full {
        socket.set_nonblocking(true)?;
        while let Ok(length) = (&socket).write(&[0; 4096]) {
            before += length;
        }
        socket.set_nonblocking(false)?;
    }
    let bytes = forever(vec![0_u8; length]);
    let entry = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length as u32);
    let entry = entry.flags(libc::MSG_WAITALL).build();
    peer.set_nonblocking(true)?;
    // How much has come to the peer, of which it takes what is there.
    let (peer, come) = (Rc::new(peer), Rc::new(Cell::new(0)));
    let take = move || {
        while let Ok(length @ 1..) = (&*peer).read(&mut [0; 65536]) {
            come.set(come.get() + length);
        }
        (come.get() - before, in_words((&*peer).read(&mut [0])))
    };
    let (feed, look) = (take.clone(), take.clone());
    Ok(Operation {
        length,
        feed: Some(Box::new(move || {
            feed();
            Ok(())
        })),
        look: Box::new(move |result, _| {
            let told = usize::try_from(result).unwrap_or(0);
            Ok(format!("its peer gets {}", if look().0 == told { "as many" } else { "MORE" }))
        }),
        remains: Box::new(move || {
            wait_until(|| take().1 != "EAGAIN");
            let (come, end) = take();
            Ok(format!("its peer reads {}{end}", if come > 0 { "a part of it, then " } else { "" }))
        }),
        ..Operation::new(entry, Some(socket.into()))
    })
}

fn send_full() -> Result<Operation> {
    send_of(16, true)
}

fn send_half() -> Result<Operation> {
    send_of(300_000, false)
}

fn accept() -> Result<Operation> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let entry =
        opcode::Accept::new(Fd(listener.as_raw_fd()), std::ptr::null_mut(), std::ptr::null_mut());
    Ok(Operation {
        feed: Some(Box::new(move || Ok(forever(TcpStream::connect(address)?).set_nodelay(true)?))),
        look: Box::new(|_, file| {
            let listener = file.expect("it has one");
            let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            let accepted = poll(&mut ready, PollTimeout::from(1000_u16))? == 1;
            Ok(format!("the next client is {}", if accepted { "there" } else { "LOST" }))
        }),
        remains: Box::new(move || {
            wait_until(|| TcpStream::connect(address).is_err());
            Ok(format!("a client gets {}", in_words(TcpStream::connect(address).map(|_| 1))))
        }),
        ..Operation::new(entry.build(), Some(listener.into()))
    })
}

/// To a listener whose queue is full, which answers nothing.
fn connect() -> Result<Operation> {
    let stream = |_| socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None);
    let listener = stream(())?;
    socket::bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    // SAFETY: listen(2) touches no memory. nix's own has no backlog of 0.
    Errno::result(unsafe { libc::listen(listener.as_raw_fd(), 0) })?;
    let address: &'static SockaddrIn = forever(socket::getsockname(listener.as_raw_fd())?);
    let (fills_it, client) = (stream(())?, stream(())?);
    socket::connect(fills_it.as_raw_fd(), address)?;
    let place: *const SockaddrIn = address;
    let length = size_of::<libc::sockaddr_in>() as u32;
    let entry = opcode::Connect::new(Fd(client.as_raw_fd()), place.cast(), length).build();
    forever(fills_it);
    Ok(Operation {
        feed: Some(Box::new(move || {
            let _ = socket::accept(listener.as_raw_fd())?;
            Ok(())
        })),
        look: Box::new(move |_, file| {
            let file = nonblocking(file.expect("it has one"))?;
            let again = socket::connect(file.as_raw_fd(), address);
            Ok(format!(
                "connect(2) then says {}",
                again.map_or_else(|e| format!("{e:?}"), |()| "0".into())
            ))
        }),
        ..Operation::new(entry, Some(client))
    })
}

fn pipe_of(entry: impl Fn(Fd) -> Entry) -> Result<Operation> {
    let (reader, writer) = pipe()?;
    let writer = Rc::new(File::from(writer));
    let (entry, feeder) = (entry(Fd(reader.as_raw_fd())), writer.clone());
    Ok(Operation {
        feed: Some(Box::new(move || Ok((&*feeder).write_all(LATE)?))),
        look: Box::new(|result, file| lost(LATE.len(), result, file)),
        remains: Box::new(move || {
            wait_until(|| (&*writer).write(&[0]).is_err());
            Ok(format!("a writer gets {}", in_words((&*writer).write(&[0]))))
        }),
        ..Operation::new(entry, Some(reader))
    })
}

fn read_pipe() -> Result<Operation> {
    pipe_of(|fd| opcode::Read::new(fd, buffer(), 16).offset(u64::MAX).build())
}

/// From an empty pipe into another one. Its descriptor, as ASYNC_CANCEL sees it, is where it goes.
fn splice() -> Result<Operation> {
    let ((from, feeder), (reader, to)) = (pipe()?, pipe()?);
    let entry = opcode::Splice::new(Fd(from.as_raw_fd()), -1, Fd(to.as_raw_fd()), -1, 16).build();
    let writer = Rc::new(File::from(feeder));
    let feeder = writer.clone();
    let from = Rc::new(Cell::new(Some(from)));
    forever(reader);
    let keeps = from.clone();
    Ok(Operation {
        begun: Box::new(|| wait_for_worker("pipe_")),
        is_working: true,
        feed: Some(Box::new(move || Ok((&*feeder).write_all(LATE)?))),
        look: Box::new(move |result, _| lost(LATE.len(), result, from.take().as_ref())),
        remains: Box::new(move || {
            drop(keeps.take());
            wait_until(|| (&*writer).write(&[0]).is_err());
            Ok(format!("a writer gets {}", in_words((&*writer).write(&[0]))))
        }),
        ..Operation::new(entry, Some(to))
    })
}

/// Waits until a worker of this process sleeps in a function of the kernel with such a name.
fn wait_for_worker(place: &str) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let mut reads = tasks.map(|task| fs::read_to_string(task.path().join("wchan")));
        if reads.any(|wchan| wchan.is_ok_and(|wchan| wchan.starts_with(place))) {
            return;
        }
        sleep(Duration::from_millis(1));
    }
}

/// How long a file is that a worker is busy with for a while.
const LARGE: usize = 128 << 20;

/// A READ into memory of which the first and the last page can be watched.
pub struct Watched {
    pub first: &'static AtomicU8,
    pub last: &'static AtomicU8,
}

/// A file in memory whose first and last byte are 7, and a READ of all of it. The pages between
/// go to one page, one after the other.
pub fn large_read() -> Result<(File, Entry, Watched)> {
    let file = File::from(memfd_create("large", MFdFlags::empty())?);
    file.write_all_at(&[7], 0)?;
    file.write_all_at(&[7], LARGE as u64 - 1)?;
    let watched = Watched { first: forever(AtomicU8::new(0)), last: forever(AtomicU8::new(0)) };
    let (rest, piece) = (LARGE - 2, 1 << 20);
    let middle = forever(vec![0_u8; piece]).as_mut_ptr();
    let part = |base: *mut u8, length| libc::iovec { iov_base: base.cast(), iov_len: length };
    let mut parts = vec![part(watched.first.as_ptr(), 1)];
    parts.extend((0..rest / piece).map(|_| part(middle, piece)));
    parts.push(part(middle, rest % piece));
    parts.push(part(watched.last.as_ptr(), 1));
    let parts = forever(parts);
    let entry = opcode::Readv::new(Fd(file.as_raw_fd()), parts.as_ptr(), parts.len() as u32);
    Ok((file, entry.build().flags(Flags::ASYNC), watched))
}

fn read_file() -> Result<Operation> {
    let (file, entry, Watched { first, last }) = large_read()?;
    Ok(Operation {
        begun: Box::new(|| wait_until(|| first.load(Ordering::Relaxed) == 7)),
        is_working: true,
        look: Box::new(|_, _| {
            let all = last.load(Ordering::Relaxed) == 7;
            Ok(format!("memory has {} of it", if all { "all" } else { "a part" }))
        }),
        ..Operation::new(entry, Some(file.into()))
    })
}

fn write_file() -> Result<Operation> {
    let file = Rc::new(File::from(memfd_create("large", MFdFlags::empty())?));
    // Never touched, so that these are zeros that take no memory.
    static ZEROS: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = ZEROS.get_or_init(|| vec![0; LARGE]);
    let entry = opcode::Write::new(Fd(file.as_raw_fd()), bytes.as_ptr(), LARGE as u32).build();
    let length = |file: &File| file.metadata().map_or(0, |data| data.len() as usize);
    let (watched, looked, left, own) =
        (file.clone(), file.clone(), file.clone(), file.try_clone()?);
    let in_words = move |file: &File| match length(file) {
        0 => "the file is empty",
        LARGE => "the file has all of it",
        _ => "the file has a part of it",
    };
    Ok(Operation {
        begun: Box::new(move || wait_until(|| length(&watched) > 0)),
        is_working: true,
        look: Box::new(move |_, _| Ok(in_words(&looked).to_string())),
        remains: Box::new(move || Ok(in_words(&left).to_string())),
        ..Operation::new(entry.flags(Flags::ASYNC), Some(own.into()))
    })
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() && Instant::now() < deadline {
        thread::yield_now();
    }
}

fn poll_add() -> Result<Operation> {
    let mut poll = recv_of(b"", |fd| opcode::PollAdd::new(fd, libc::POLLIN as u32).build())?;
    poll.look = Box::new(|_, file| lost(LATE.len(), 0, file));
    Ok(poll)
}

static HOUR: Timespec = Timespec::new().sec(3600);

fn timeout() -> Result<Operation> {
    Ok(Operation::new(opcode::Timeout::new(&HOUR).build(), None))
}

fn futex_wait() -> Result<Operation> {
    const FUTEX2_SIZE_U32: u32 = 2;
    let word: &'static AtomicU32 = forever(AtomicU32::new(0));
    let everyone = u64::from(u32::MAX);
    let entry = opcode::FutexWait::new(word.as_ptr(), 0, everyone, FUTEX2_SIZE_U32).build();
    // SAFETY: the word is never freed.
    let wake = || unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
    Ok(Operation {
        feed: Some(Box::new(move || {
            word.store(wake() as u32, Ordering::Relaxed);
            Ok(())
        })),
        look: Box::new(|_, _| Ok(format!("a wake finds {} waiters", word.load(Ordering::Relaxed)))),
        ..Operation::new(entry, None)
    })
}

fn waitid() -> Result<Operation> {
    // SAFETY: this program has one thread, and the child only waits for its end.
    let child = match unsafe { fork() }? {
        ForkResult::Child => {
            let _ = set_pdeathsig(Signal::SIGKILL);
            loop {
                pause();
            }
        }
        ForkResult::Parent { child } => child,
    };
    let place = std::ptr::null();
    let entry = opcode::WaitId::new(libc::P_PID, child.as_raw() as u32, libc::WEXITED);
    Ok(Operation {
        feed: Some(Box::new(move || Ok(kill(child, Signal::SIGKILL)?))),
        look: Box::new(move |_, _| {
            Ok(match waitpid(child, None) {
                Ok(WaitStatus::Signaled(..)) => "waitpid(2) gets the child".to_string(),
                other => format!("waitpid(2) says {other:?}"),
            })
        }),
        ..Operation::new(entry.infop(place).build(), None)
    })
}
