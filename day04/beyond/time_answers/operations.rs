//! The operations that are ended. Each of these waits; those of `by_worker` keep a thread busy.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use common::memory::forever;
use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, Timespec};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, pause, pipe};

use super::by_worker::{read_file, splice, write_file};
use super::operation::{LATE, Make, Operation, in_words, lost, nonblocking, wait_until};

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

/// The group of the one provided buffer, which is for `recv_multishot`.
pub const GROUP: u16 = 7;

fn buffer() -> *mut u8 {
    forever([0; 16]).as_mut_ptr()
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
