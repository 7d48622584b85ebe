//! A ring after fork(2).

use std::os::fd::{AsRawFd, RawFd};
use std::process::exit;

use anyhow::{Context, Result};
use common::memory::forever;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, write};

use super::{Question, arrives, completion, pipe, plain, polled, result, submit};

pub const QUESTIONS: &[Question] = &[
    ("fork, the child submits a NOP to its parent's ring", || child_submits(plain()?)),
    ("fork, the child submits, SINGLE_ISSUER", || {
        child_submits(IoUring::builder().setup_single_issuer().build(8)?)
    }),
    ("fork, the child submits, SQPOLL", || child_submits(polled()?)),
    ("fork, the child submits, MADV_DONTFORK", || {
        child_submits(IoUring::builder().dontfork().build(8)?)
    }),
    ("fork, the child submits an OPENAT", || child_opens(plain()?)),
    ("fork, the child submits an OPENAT, SQPOLL", || child_opens(polled()?)),
    ("fork, the child submits a READ", || child_reads(plain()?)),
    ("fork, the child submits a READ, SQPOLL", || child_reads(polled()?)),
    ("fork, the child exits, its READ is on its way", || child_exits(plain()?)),
    ("fork, the child exits, its READ is on its way, SQPOLL", || child_exits(polled()?)),
    ("fork, the child sends a MSG_RING from a ring of its own", child_sends),
    ("exec, FD_CLOEXEC of a ring's descriptor", close_on_exec),
];

/// Runs something in a child. What it returned there, or how the child ended.
fn in_child(act: impl FnOnce() -> Result<u8>) -> Result<Result<u8, String>> {
    // SAFETY: the program has no other thread at the moment.
    match unsafe { fork() }? {
        ForkResult::Child => exit(act().map_or(255, i32::from)),
        ForkResult::Parent { child } => Ok(match waitpid(child, None)? {
            WaitStatus::Exited(_, 255) => Err("failed".into()),
            WaitStatus::Exited(_, status) => Ok(status as u8),
            WaitStatus::Signaled(_, signal, _) => Err(format!("killed by {signal}")),
            other => Err(format!("{other:?}")),
        }),
    }
}

fn child_submits(mut ring: IoUring) -> Result<String> {
    // An error's number, or 0.
    let submitted = in_child(|| {
        Ok(match submit(&mut ring, opcode::Nop::new().build().user_data(42)) {
            Ok(_) => 0,
            Err(error) => error
                .downcast_ref::<std::io::Error>()
                .and_then(|it| it.raw_os_error())
                .unwrap_or(255) as u8,
        })
    })?;
    Ok(match submitted {
        Ok(0) => format!("the parent reaps {}", completion(&mut ring)?.user_data()),
        Ok(errno) => format!("{:?}", nix::errno::Errno::from_raw(i32::from(errno))),
        Err(how) => how,
    })
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: it only asks.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

fn child_opens(mut ring: IoUring) -> Result<String> {
    let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), c"/proc/version".as_ptr()).build();
    let in_child = in_child(|| {
        submit(&mut ring, open)?;
        super::can_be_read(&ring, super::COMING)?;
        // The completion stays for the parent: the queue's head is not moved.
        // SAFETY: nobody else reaps at the moment.
        let fd = unsafe { ring.completion_shared() }.next().context("no completion")?.result();
        Ok(if is_open(fd) { 100 + fd as u8 } else { fd as u8 })
    })?;
    let status = in_child.map_err(anyhow::Error::msg)?;
    let fd = RawFd::from(status % 100);
    let whose = match (status >= 100, is_open(fd)) {
        (true, false) => "the child's",
        (false, true) => "the parent's",
        (true, true) => "both",
        (false, false) => "neither",
    };
    Ok(format!("the descriptor is {whose}"))
}

fn child_reads(mut ring: IoUring) -> Result<String> {
    let (reader, writer) = pipe()?;
    write(&writer, b"x")?;
    let buffer: *mut u8 = forever(0);
    let read = opcode::Read::new(Fd(reader.as_raw_fd()), buffer, 1).build();
    let in_child = in_child(|| {
        submit(&mut ring, read)?;
        super::can_be_read(&ring, super::COMING)?;
        // SAFETY: the buffer is never freed, and the READ is done.
        Ok(unsafe { buffer.read_volatile() })
    })?;
    let in_child = in_child.map_err(anyhow::Error::msg)? == b'x';
    let result = result(&completion(&mut ring)?);
    // SAFETY: as above.
    let in_parent = unsafe { buffer.read_volatile() } == b'x';
    let whose = match (in_child, in_parent) {
        (true, false) => "the child's",
        (false, true) => "the parent's",
        (true, true) => "both",
        (false, false) => "neither",
    };
    Ok(format!("the parent reaps {result}, the byte is in {whose} memory"))
}

fn child_exits(mut ring: IoUring) -> Result<String> {
    let (reader, writer) = pipe()?;
    let buffer: *mut u8 = forever(0);
    let read = opcode::Read::new(Fd(reader.as_raw_fd()), buffer, 1).build();
    in_child(|| {
        submit(&mut ring, read)?;
        // A poller may not have looked at it yet.
        arrives(&mut ring, super::NOT_COMING)?;
        Ok(0)
    })?
    .map_err(anyhow::Error::msg)?;
    if let Some(completion) = arrives(&mut ring, super::NOT_COMING)? {
        return Ok(result(&completion));
    }
    write(&writer, b"x")?;
    Ok(format!("silent; after a write {}", result(&completion(&mut ring)?)))
}

fn child_sends() -> Result<String> {
    let mut ring = plain()?;
    let to = Fd(ring.as_raw_fd());
    let sent = in_child(|| {
        let mut own = plain()?;
        submit(&mut own, opcode::MsgRingData::new(to, 42, 1, None).build())?;
        Ok(completion(&mut own)?.result().unsigned_abs() as u8)
    })?;
    let errno = sent.map_err(anyhow::Error::msg)?;
    anyhow::ensure!(errno == 0, "{:?}", nix::errno::Errno::from_raw(i32::from(errno)));
    Ok(format!("the parent reaps {}", result(&completion(&mut ring)?)))
}

fn close_on_exec() -> Result<String> {
    let ring = plain()?;
    // SAFETY: the ring is borrowed, so its descriptor stays open.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(ring.as_raw_fd()) };
    let flags = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
    Ok(if flags.contains(FdFlag::FD_CLOEXEC) { "set" } else { "not set" }.into())
}
