//! ACCEPT: take a connection from a listening socket.
//!
//! Since 5.5. Stands for accept4(2); liburing: `io_uring_prep_accept`, `…_accept_direct`,
//! `…_multishot_accept`, `…_multishot_accept_direct`; crate: `opcode::Accept` and
//! `opcode::AcceptMulti`, without DONTWAIT and POLL_FIRST (`atlas::raw` adds them).
//! Takes a listening socket or its slot, room for the client's address if that is wanted,
//! `SOCK_NONBLOCK` and `SOCK_CLOEXEC`. Returns a descriptor; or, with `file_index` (5.15), puts
//! the connection into that slot (0) or into a free one (5.19; its number). Waits for a client.
//! With `IORING_ACCEPT_MULTISHOT` there is a completion for each client, until one comes without
//! `IORING_CQE_F_MORE`.

use std::io::{Read, Write};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result};
use common::catalog::ACCEPT_FLAGS;
use io_uring::types::{DestinationSlot, Fd};
use io_uring::{IoUring, cqueue, opcode};
use nix::errno::Errno;

use super::tcp_socket;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_ACCEPT",
        "IORING_ACCEPT_MULTISHOT",
        "IORING_ACCEPT_DONTWAIT",
        "IORING_ACCEPT_POLL_FIRST",
        "IORING_CQE_F_MORE",
        "IORING_CQE_F_SOCK_NONEMPTY",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    // SAFETY: all zeros are an address of no family.
    let mut address: libc::sockaddr_in = unsafe { mem::zeroed() };
    let mut len = size_of_val(&address) as libc::socklen_t;
    let fd = Fd(listener.as_raw_fd());
    let accept = opcode::Accept::new(fd, (&raw mut address).cast(), &raw mut len);
    let entry = accept.flags(libc::SOCK_CLOEXEC).build();
    // SAFETY: here and below, the address and its length live until the completion.
    let accepted = unsafe { page.ask("ACCEPT with an address", &mut ring, entry) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let mut accepted = unsafe { TcpStream::from_raw_fd(accepted.result) };
    let port = u16::from_be(address.sin_port);
    page.saw("the address is the client's", port == client.local_addr()?.port())?;
    client.write_all(b"hello")?;
    let mut received = [0; 5];
    accepted.read_exact(&mut received)?;
    page.saw("what the client sends arrives", received == *b"hello")?;

    let idle = tcp_socket()?;
    let not_listening = opcode::Accept::new(Fd(idle.as_raw_fd()), null_mut(), null_mut()).build();
    let no_length = opcode::Accept::new(fd, (&raw mut address).cast(), null_mut()).build();
    let _lost = TcpStream::connect(listener.local_addr()?)?;
    for (asked, entry, errno, why) in [
        ("ACCEPT before LISTEN", not_listening, Errno::EINVAL, "no client can connect to it"),
        (
            "ACCEPT with an address without its length",
            no_length,
            Errno::EFAULT,
            "the room for it is not given; and the client is lost",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    how_long_it_waits(page, &mut ring)?;
    every_client(page, &mut ring)?;
    into_slots(page, &mut ring)
}

fn how_long_it_waits(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let dont_wait = const { ACCEPT_FLAGS.code("DONTWAIT") };
    let poll_first = const { ACCEPT_FLAGS.code("POLL_FIRST") };
    let accept = |flags| {
        let accept = opcode::Accept::new(Fd(listener.as_raw_fd()), null_mut(), null_mut());
        accept.flags(libc::SOCK_CLOEXEC).build().ioprio(flags)
    };
    let clients = [listener.local_addr()?; 3].map(TcpStream::connect);
    let name = "IORING_ACCEPT_DONTWAIT";
    let asked = "ACCEPT, DONTWAIT, three clients";
    // SAFETY: here and below, the entries point at no memory.
    let answer = unsafe { page.ask_since(name, asked, ring, accept(dont_wait)) }?;
    let Some(answer) = answer else { return Ok(()) };
    page.saw("two more clients: SOCK_NONEMPTY", cqueue::sock_nonempty(answer.flags))?;
    close(answer.result);
    // SAFETY: as above.
    let answer = unsafe { page.ask("ACCEPT, POLL_FIRST, two clients", ring, accept(poll_first)) }?;
    close(answer.result);
    let why = "one waits, but POLL_FIRST does not look before a wait, and DONTWAIT forbids it";
    let both = accept(dont_wait | poll_first);
    // SAFETY: as above.
    unsafe { page.refused("ACCEPT, DONTWAIT and POLL_FIRST", ring, both, Errno::EAGAIN, why) }?;
    // SAFETY: as above.
    let answer = unsafe { page.ask("ACCEPT, one client", ring, accept(0)) }?;
    page.saw("that was the last: no SOCK_NONEMPTY", !cqueue::sock_nonempty(answer.flags))?;
    close(answer.result);
    drop(clients);
    let why = "no client waits";
    // SAFETY: as above.
    unsafe {
        page.refused("ACCEPT, DONTWAIT, no client", ring, accept(dont_wait), Errno::EAGAIN, why)
    }
}

fn every_client(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
    // SAFETY: here and below, the entries point at no memory.
    let accepting = unsafe { page.start("ACCEPT, MULTISHOT", ring, accept.build()) };
    let clients = [listener.local_addr()?; 2].map(TcpStream::connect);
    let name = "IORING_ACCEPT_MULTISHOT";
    let Some(first) = page.answer_since(name, &accepting, ring)? else { return Ok(()) };
    let second = page.answer(&accepting, ring)?;
    page.saw("two clients from one entry, and MORE may come", first.more() && second.more())?;
    drop(clients);
    [first, second].iter().for_each(|answer| close(answer.result));

    let cancel = opcode::AsyncCancel::new(accepting.user_data()).build();
    // SAFETY: as above.
    unsafe { page.ask("ASYNC_CANCEL of it", ring, cancel) }?;
    let end = page.ended(&accepting, ring, Errno::ECANCELED, "it was cancelled")?;
    page.saw("no MORE: it accepts no more clients", !end.more())
}

fn into_slots(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    page.call("register a table of one slot", ring.submitter().register_files(&[-1]))?;
    let fd = Fd(listener.as_raw_fd());
    let clients = [listener.local_addr()?; 2].map(TcpStream::connect);
    let accept = opcode::AcceptMulti::new(fd).allocate_file_index(true).build();
    let asked = "ACCEPT, MULTISHOT, into free slots, two clients";
    // SAFETY: here and below, the entries point at no memory.
    let accepting = unsafe { page.start(asked, ring, accept) };
    let name = "IORING_ACCEPT_MULTISHOT";
    let Some(first) = page.answer_since(name, &accepting, ring)? else { return Ok(()) };
    page.saw("the first client is in slot 0", first.result == 0)?;
    let why = "the table is full: the second client was accepted, and is lost";
    page.ended(&accepting, ring, Errno::ENFILE, why)?;
    let [_, lost] = clients;
    let end = lost?.read(&mut [0]);
    page.saw("it reads the end, or a reset", matches!(end, Ok(0) | Err(_)))?;

    let accept = || opcode::Accept::new(fd, null_mut(), null_mut());
    let slot_0 = DestinationSlot::try_from_slot_target(0).ok();
    let multishot = accept().file_index(slot_0).build().ioprio(ACCEPT_FLAGS.code("MULTISHOT"));
    let cloexec = accept().file_index(slot_0).flags(libc::SOCK_CLOEXEC).build();
    for (asked, entry, errno, why) in [
        ("ACCEPT, MULTISHOT, into slot 0", multishot, Errno::EINVAL, "one slot holds one client"),
        ("ACCEPT, SOCK_CLOEXEC, into slot 0", cloexec, Errno::EINVAL, "exec inherits no slot"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

/// Closes what was accepted.
fn close(fd: i32) {
    // SAFETY: the kernel has just made this descriptor for us, and it is closed only here.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}
