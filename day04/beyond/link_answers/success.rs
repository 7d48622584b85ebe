//! What breaks a link: each operation with a NOP linked behind it. *Holds* means that the NOP ran,
//! *breaks* that it completed with ECANCELED.

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Result;
use common::memory::forever;
use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, TimeoutFlags, Timespec};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::pipe;

use crate::{
    HARD, LINK, Ring, TEXT, buffer, fails, in_order, nop, pipe_with_text, poll, read, say,
    silent_pipe, with, word,
};

pub fn answers(path: &Path) -> Result<()> {
    files(path)?;
    receives()?;
    sends()?;
    connections()?;
    others()?;
    cancelled()
}

/// The entry's result, and what became of a NOP linked behind it. Asks twice: the second time
/// with a hard link.
fn linked(mut entry: impl FnMut() -> Result<Entry>) -> Result<(i32, &'static str)> {
    let mut answers = Vec::new();
    for flag in [LINK, HARD] {
        let mut ring = Ring::new()?;
        ring.submit(&[entry()?.flags(flag), nop()])?;
        answers.push(ring.wait_for(2)?);
    }
    let link = match (answers[0][1], answers[1][1]) {
        (0, 0) => "holds",
        (_, 0) => "breaks",
        _ => "breaks, and so does a hard link",
    };
    Ok((answers[0][0], link))
}

fn link(question: &str, entry: impl FnMut() -> Result<Entry>) -> Result<()> {
    let (result, link) = linked(entry)?;
    behind(question, &format!("{}, {link}", word(result)))
}

fn behind(question: &str, answer: &str) -> Result<()> {
    say("link behind", question, answer)
}

fn files(path: &Path) -> Result<()> {
    let file: &File = forever(File::options().read(true).write(true).open(path)?);
    let fd = Fd(file.as_raw_fd());
    link("READ of 5 bytes, 5 are there", || Ok(read(fd, 5)))?;
    link("READ of 16 bytes, 5 are there", || Ok(read(fd, 16)))?;
    let at_end = || opcode::Read::new(fd, buffer(), 16).offset(5).build();
    link("READ of 16 bytes at the end of the file", || Ok(at_end()))?;
    link("READ of 16 bytes of a pipe, 5 are there", || Ok(read(pipe_with_text()?, 16)))?;
    link("SPLICE of 16 bytes, 5 are there", || {
        let (reader, writer) = pipe()?;
        forever(reader);
        let to = Fd(writer.into_raw_fd());
        Ok(opcode::Splice::new(pipe_with_text()?, -1, to, -1, 16).build())
    })?;
    link("WRITE of 5 bytes", || Ok(opcode::Write::new(fd, TEXT.as_ptr(), 5).build()))?;

    // A file may not grow beyond 8 bytes. Output goes on when that is over: it may be a file.
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
    // SAFETY: a signal that is ignored runs no code.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
    setrlimit(Resource::RLIMIT_FSIZE, 8, hard)?;
    let write = |at| linked(|| Ok(opcode::Write::new(fd, TEXT.as_ptr(), 5).offset(at).build()));
    let (short, none) = (write(5), write(8));
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard)?;
    let ((short, broken), (none, broken_too)) = (short?, none?);
    behind("WRITE of 5 bytes, 3 have room", &format!("{}, {broken}", word(short)))?;
    behind("WRITE of 5 bytes, none has room", &format!("{}, {broken_too}", word(none)))?;
    file.set_len(TEXT.len() as u64)?;
    link("CLOSE of descriptor -1", || Ok(fails()))
}

fn receives() -> Result<()> {
    // Five bytes have come, and perhaps the end.
    let recv = |flags, ends: bool| {
        let (socket, peer) = UnixStream::pair()?;
        let sent = nix::unistd::write(&peer, TEXT.as_bytes())?;
        assert_eq!(sent, TEXT.len());
        if !ends {
            forever(peer);
        }
        Ok(opcode::Recv::new(Fd(socket.into_raw_fd()), buffer(), 16).flags(flags).build())
    };
    link("RECV of 16 bytes, 5 are there", || recv(0, false))?;
    link("RECV of 16 bytes with MSG_WAITALL, 5 and the end", || recv(libc::MSG_WAITALL, true))?;
    let at_end = |flags| {
        let socket = Fd(UnixStream::pair()?.0.into_raw_fd());
        Ok(opcode::Recv::new(socket, buffer(), 16).flags(flags).build())
    };
    link("RECV at the end of the stream", || at_end(0))?;
    link("RECV at the end, with MSG_WAITALL", || at_end(libc::MSG_WAITALL))?;
    let datagram = |flags| {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(TEXT.as_bytes(), socket.local_addr()?)?;
        Ok(opcode::Recv::new(Fd(socket.into_raw_fd()), buffer(), 3).flags(flags).build())
    };
    link("RECV of 3 bytes of a datagram of 5", || datagram(0))?;
    link("RECV of 3 bytes of it, with MSG_WAITALL", || datagram(libc::MSG_WAITALL))
}

fn sends() -> Result<()> {
    let large: &'static Vec<u8> = forever(vec![7; 4 << 20]);
    let (sent, answer) = linked(|| {
        let (socket, peer) = UnixStream::pair()?;
        forever(peer);
        let socket = Fd(socket.into_raw_fd());
        Ok(opcode::Send::new(socket, large.as_ptr(), large.len() as u32).build())
    })?;
    let part = if (1..large.len() as i32).contains(&sent) { "a part" } else { &word(sent) };
    behind("SEND of 4 MiB, there is room for a part", &format!("{part}, {answer}"))?;
    link("SEND to a peer that is gone", || {
        let socket = Fd(UnixStream::pair()?.0.into_raw_fd());
        Ok(opcode::Send::new(socket, TEXT.as_ptr(), 5).flags(libc::MSG_NOSIGNAL).build())
    })?;
    link("SHUTDOWN", || {
        let (socket, peer) = UnixStream::pair()?;
        forever(peer);
        Ok(opcode::Shutdown::new(Fd(socket.into_raw_fd()), libc::SHUT_WR).build())
    })
}

fn connections() -> Result<()> {
    let (none, no_length) = (std::ptr::null_mut(), std::ptr::null_mut());
    let door: &TcpListener = forever(TcpListener::bind("127.0.0.1:0")?);
    let fd = Fd(door.as_raw_fd());
    let port = door.local_addr()?.port();
    link("CONNECT, a listener is there", || connect(port))?;
    let (accepted, answer) = linked(|| Ok(opcode::Accept::new(fd, none, no_length).build()))?;
    let accepted = if accepted >= 0 { "a descriptor" } else { &word(accepted) };
    behind("ACCEPT, a client is there", &format!("{accepted}, {answer}"))?;
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    link("CONNECT, no listener is there", || connect(closed))?;

    let mut ring = Ring::new()?;
    ring.submit(&[opcode::AcceptMulti::new(fd).build().flags(LINK), nop()])?;
    let client = TcpStream::connect(door.local_addr()?)?;
    let tags: Vec<_> = ring.settle(0)?.iter().map(|(tag, _)| *tag).collect();
    let ran = if tags.contains(&2) { "does not wait" } else { "waits" };
    behind("ACCEPT multishot, a client comes", ran)?;
    drop(client);
    ring.submit(&[opcode::AsyncCancel::new(1).build()])?;
    let ended = ring.settle(1)?;
    let nops: Vec<_> = ended.iter().filter(|(tag, _)| *tag == 2).collect();
    let answer = nops.first().map_or("nothing new".into(), |(_, result)| word(*result));
    behind("ACCEPT multishot, it is cancelled", &answer)
}

/// A CONNECT of a new socket.
fn connect(port: u16) -> Result<Entry> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?;
    let address = forever(libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    });
    let length = size_of_val(address) as u32;
    let address = std::ptr::from_ref(address).cast();
    Ok(opcode::Connect::new(Fd(socket.into_raw_fd()), address, length).build())
}

fn others() -> Result<()> {
    link("POLL_ADD, there is something to read", || Ok(poll(pipe_with_text()?)))?;
    link("POLL_ADD, only POLLHUP", || Ok(poll(Fd(pipe()?.0.into_raw_fd()))))?;
    let soon: &Timespec = forever(Timespec::new().nsec(1_000_000));
    link("TIMEOUT, the time is over", || Ok(opcode::Timeout::new(soon).build()))?;
    link("TIMEOUT with ETIME_SUCCESS, the time is over", || {
        Ok(opcode::Timeout::new(soon).flags(TimeoutFlags::ETIME_SUCCESS).build())
    })?;
    let descriptors: &[i32; 2] = forever([2, 9999]);
    link("FILES_UPDATE of 2 slots, the second descriptor is not open", || {
        Ok(opcode::FilesUpdate::new(descriptors.as_ptr(), 2).offset(0).build())
    })?;
    // IORING_NOP_INJECT_RESULT (6.10), 1 at offset 28: the result is `len`, at 24.
    let result = |result: i32| with(with(nop(), 24, result.to_ne_bytes()), 28, [1, 0, 0, 0]);
    link("NOP with the result 42", || Ok(result(42)))?;
    link("NOP with the result -EIO", || Ok(result(-libc::EIO)))?;

    let late: &Timespec = forever(Timespec::new().sec(60));
    for (how, fd, time) in [("in time", pipe_with_text()?, late), ("late", silent_pipe()?, soon)] {
        let mut ring = Ring::new()?;
        let limit = opcode::LinkTimeout::new(time).build().flags(LINK);
        ring.submit(&[read(fd, 5).flags(LINK), limit, nop()])?;
        let question = format!("READ {how} and its LINK_TIMEOUT");
        behind(&question, &in_order(ring.settle(3)?))?;
    }
    Ok(())
}

fn cancelled() -> Result<()> {
    for (how, flag) in [("linked", LINK), ("hard-linked", HARD)] {
        let mut ring = Ring::new()?;
        ring.submit(&[poll(silent_pipe()?).flags(flag), nop()])?;
        // The cancels carry the tag 1, as the POLL_ADD does, and complete first.
        ring.submit(&[opcode::AsyncCancel::new(2).build()])?;
        let found = word(ring.wait_for(1)?[0]);
        say("cancel of", &format!("a NOP that is {how} to a silent POLL_ADD"), &found)?;
        ring.submit(&[opcode::AsyncCancel::new(1).build()])?;
        let mut all = ring.settle(3)?;
        all.remove(0);
        say("cancel of", &format!("the POLL_ADD with the NOP {how}"), &in_order(all))?;
    }
    Ok(())
}
