//! Faults in entries, and in the memory that they name.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, opcode, squeue, types};

use super::{
    at_once, cancel, eventfd, fd, here, nop, not_here, pages, pair, passwd, pipe, push, read, ring,
    run, run_first, take, take_all,
};

pub fn cloexec_for_a_slot(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(4));
    let slot = types::DestinationSlot::auto_target();
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"/etc/passwd".as_ptr())
        .file_index(Some(slot))
        .flags(if mended { 0 } else { libc::O_CLOEXEC });
    run(&mut ring, open.build(), 1);
}

pub fn multishot_without_buffers(mended: bool) {
    const MULTISHOT: u16 = 1 << 1;
    let mut ring = ring();
    let (here, mut there) = pair();
    there.write_all(b"bytes").expect("five bytes");
    let mut buffer = [0; 8];
    let mut entry = opcode::Recv::new(fd(&here), buffer.as_mut_ptr(), 8).build();
    if !mended {
        set_ioprio(&mut entry, MULTISHOT);
    }
    run(&mut ring, entry, 1);
}

/// Sets the field that the crate sets for multishots.
fn set_ioprio(entry: &mut squeue::Entry, flags: u16) {
    // SAFETY: an entry is 64 plain bytes, `ioprio` the third and fourth of them.
    unsafe { (&raw mut *entry).cast::<u16>().add(1).write(flags) };
}

pub fn multishot_into_one_slot(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(4));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let _client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let slot = types::DestinationSlot::try_from_slot_target(1).expect("a slot");
    let none = std::ptr::null_mut();
    let accept = opcode::Accept::new(fd(&listener), none, none.cast()).file_index(Some(slot));
    let mut entry = accept.build();
    if !mended {
        set_ioprio(&mut entry, 1);
    }
    run(&mut ring, entry, 1);
    if mended {
        run(&mut ring, opcode::Close::new(types::Fixed(1)).build(), 2);
    }
}

pub fn timeout_for_nothing(mended: bool) {
    let mut ring = ring();
    let time = types::Timespec::new().nsec(1_000_000);
    if mended {
        push(&mut ring, nop().flags(squeue::Flags::IO_LINK), 1);
        push(&mut ring, opcode::LinkTimeout::new(&time).build(), 2);
        take(&mut ring, 2);
    } else {
        run(&mut ring, opcode::LinkTimeout::new(&time).build(), 1);
    }
}

#[repr(align(4096))]
struct Page([u8; 4096 + 512]);

pub fn direct_and_odd(mended: bool) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut ring = ring();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, [7; 8192]).expect("a file");
    let direct = std::fs::File::options().read(true).custom_flags(libc::O_DIRECT).open(&path);
    let file = here(direct);
    let mut page = Box::new(Page([0; 4608]));
    let odd = usize::from(!mended);
    let buffer = &mut page.0[odd..4096 + odd];
    let (result, _) =
        run(&mut ring, opcode::Read::new(fd(&file), buffer.as_mut_ptr(), 4096).build(), 1);
    if !mended && result >= 0 {
        not_here("the file system takes any address");
    }
}

pub fn half_an_eventfd(mended: bool) {
    let mut ring = ring();
    let bell = eventfd();
    let one = 1_u64.to_ne_bytes();
    let length = if mended { 8 } else { 4 };
    run(&mut ring, opcode::Write::new(types::Fd(bell), one.as_ptr(), length).build(), 1);
}

/// The flags that a send had in the same place of the queue.
pub fn flags_of_the_one_before(mended: bool) {
    let mut ring: IoUring = here(IoUring::new(1));
    let (here, _there) = pair();
    let send = opcode::Send::new(fd(&here), b"x".as_ptr(), 1).flags(libc::MSG_NOSIGNAL).build();
    run(&mut ring, send, 1);
    let mut buffer = [0; 8];
    let flags = if mended { 0 } else { libc::MSG_NOSIGNAL };
    let file = passwd();
    let read = opcode::Read::new(fd(&file), buffer.as_mut_ptr(), 8).rw_flags(flags);
    run(&mut ring, read.build(), 2);
}

pub fn slot_for_a_descriptor(mended: bool) {
    let mut ring = ring();
    let file = passwd();
    ring.submitter().register_files(&[file.as_raw_fd(), -1]).expect("a table");
    let mut buffer = [0; 8];
    let slot = types::Fixed(if mended { 0 } else { 1 });
    run(&mut ring, opcode::Read::new(slot, buffer.as_mut_ptr(), 8).build(), 1);
}

pub fn length_of_zero(mended: bool) {
    let mut ring = ring();
    let file = passwd();
    let mut buffer = [0; 8];
    let length = if mended { 8_u64 } else { 1 << 32 } as u32;
    run(&mut ring, opcode::Read::new(fd(&file), buffer.as_mut_ptr(), length).build(), 1);
}

/// An entry with a time of a function that has returned.
#[inline(never)]
fn dead_timeout(ring: &mut IoUring) {
    let time = types::Timespec::new().nsec(1_000_000);
    push(ring, opcode::Timeout::new(std::hint::black_box(&time)).build(), 1);
}

/// Calls it with a stack that is deep by then.
#[inline(never)]
fn deep_down(ring: &mut IoUring) {
    let room = std::hint::black_box([0_u8; 1 << 14]);
    dead_timeout(ring);
    std::hint::black_box(&room);
}

pub fn timespec_of_a_function(mended: bool) {
    let mut ring = ring();
    let time = types::Timespec::new().nsec(1_000_000);
    match mended {
        true => push(&mut ring, opcode::Timeout::new(&time).build(), 1),
        false => deep_down(&mut ring),
    }
    ring.submit().expect("an enter");
    sleep(Duration::from_millis(20));
    let _ = ring.completion().count();
}

#[inline(never)]
fn dead_buffer(ring: &mut IoUring, file: &impl AsRawFd) {
    let mut room = std::hint::black_box([0_u8; 8192]);
    push(ring, read(file, &mut room[..64]), 1);
    ring.submit().expect("an enter");
    std::hint::black_box(&room);
}

pub fn buffer_of_a_function(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let mut buffer = [0; 64];
    if mended {
        push(&mut ring, read(&here, &mut buffer), 1);
        ring.submit().expect("an enter");
    } else {
        dead_buffer(&mut ring, &here);
    }
    run_first(&mut ring, cancel(1), 2);
}

pub fn wrong_address(mended: bool) {
    let mut ring = ring();
    let file = passwd();
    let mut buffer = [0; 8];
    let address = if mended { buffer.as_mut_ptr() } else { 64 as *mut u8 };
    run(&mut ring, opcode::Read::new(fd(&file), address, 8).build(), 1);
}

pub fn unmaps_in_flight(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let memory = pages(1);
    push(&mut ring, opcode::Read::new(fd(&here), memory, 4096).offset(u64::MAX).build(), 1);
    ring.submit().expect("an enter");
    if mended {
        run_first(&mut ring, cancel(1), 2);
    }
    // SAFETY: the pages are ours, and nothing of Rust is in them.
    unsafe { libc::munmap(memory.cast(), 4096) };
    if !mended {
        run_first(&mut ring, cancel(1), 2);
    }
}

/// A pipe that is full, so that a write to it waits.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (from, to) = pipe();
    // SAFETY: plain numbers.
    let size = unsafe { libc::fcntl(to.as_raw_fd(), libc::F_GETPIPE_SZ) } as usize;
    let bytes = vec![b'-'; size];
    // SAFETY: `bytes` outlives the call.
    unsafe { libc::write(to.as_raw_fd(), bytes.as_ptr().cast(), size) };
    (from, to)
}

pub fn writes_while_it_sends(mended: bool) {
    let mut ring = ring();
    let (from, to) = full_pipe();
    let mut message = [b'1'; 64];
    push(&mut ring, opcode::Write::new(fd(&to), message.as_ptr(), 64).offset(u64::MAX).build(), 1);
    ring.submit().expect("an enter");
    if !mended {
        message.fill(b'2');
    }
    let mut all = vec![0; 1 << 20];
    // SAFETY: `all` outlives the call.
    unsafe { libc::read(from.as_raw_fd(), all.as_mut_ptr().cast(), all.len()) };
    take(&mut ring, 1);
    message.fill(b'3');
}

/// A client, and what the server has of it.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let (server, _) = listener.accept().expect("the client");
    (client, server)
}

/// Sends, and takes the result but not the notification. Returns how many bytes went out.
fn send_zero_copy(ring: &mut IoUring, server: &TcpStream, message: &[u8]) -> usize {
    let send = opcode::SendZc::new(fd(server), message.as_ptr(), message.len() as u32).build();
    push(ring, send, 1);
    ring.submit_and_wait(1).expect("an enter");
    let sent = ring.completion().next().expect("a completion").result();
    usize::try_from(sent).unwrap_or_else(|_| not_here("no zero-copy sends"))
}

pub fn zero_copy(mended: bool) {
    let (mut client, server) = connection();
    let mut ring = ring();
    let mut message = vec![b'1'; 1 << 16];
    let sent = send_zero_copy(&mut ring, &server, &message);
    if !mended {
        message.fill(b'2');
    }
    let mut received = vec![0; sent];
    client.read_exact(&mut received).expect("what was sent");
    take(&mut ring, 1);
    message.fill(b'3');
}

/// A file that has the bytes of before: what it overwrites does not change.
pub fn zero_copy_read(mended: bool) {
    let (mut client, server) = connection();
    let mut ring = ring();
    let mut message = vec![b'1'; 1 << 16];
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&message).expect("the bytes");
    let sent = send_zero_copy(&mut ring, &server, &message);
    let mut received = vec![0; sent];
    if mended {
        client.read_exact(&mut received).expect("what was sent");
        take(&mut ring, 1);
    }
    push(&mut ring, opcode::Read::new(fd(&file), message.as_mut_ptr(), 64).build(), 2);
    ring.submit().expect("an enter");
    if !mended {
        client.read_exact(&mut received).expect("what was sent");
    }
    take_all(&mut ring, if mended { 1 } else { 2 });
}

/// More than the sockets take, for a client who does not read.
pub fn reader_who_sleeps(mended: bool) {
    let (mut client, server) = connection();
    server.set_nonblocking(true).expect("a socket");
    let mut ring = ring();
    let message = vec![b'1'; 16 << 20];
    let sent = send_zero_copy(&mut ring, &server, &message);
    if mended {
        client.read_exact(&mut vec![0; sent]).expect("what was sent");
    }
    take(&mut ring, 1);
    if mended {
        // The rest, by an ordinary call.
        server.set_nonblocking(false).expect("a socket");
        let rest = message[sent..].to_vec();
        let reader = std::thread::spawn(move || client.read_to_end(&mut Vec::new()));
        (&server).write_all(&rest).expect("the rest");
        drop(server);
        reader.join().expect("the client").expect("the rest");
    }
}

pub fn one_buffer_in_one_enter(mended: bool) {
    one_buffer(mended, 2);
}

pub fn one_buffer_for_two(mended: bool) {
    one_buffer(mended, 1);
}

fn one_buffer(mended: bool, per_enter: usize) {
    let files = pair();
    let mut buffers = [[0; 8]; 2];
    let first = read(&files.0, &mut buffers[0]);
    let second = read(&files.1, &mut buffers[usize::from(mended)]);
    at_once(&files, [(first, 1), (second, 2)], per_enter);
}

pub fn past_a_registered_buffer(mended: bool) {
    let mut ring = ring();
    let memory = pages(2);
    let buffer = libc::iovec { iov_base: memory.cast(), iov_len: 4096 };
    // SAFETY: the pages are never unmapped.
    here(unsafe { ring.submitter().register_buffers(&[buffer]) });
    let file = passwd();
    // SAFETY: inside of the two pages.
    let at = if mended { memory } else { unsafe { memory.add(2048) } };
    run(&mut ring, opcode::ReadFixed::new(fd(&file), at, 4096, 0).build(), 1);
}

pub fn number_of_a_slot(mended: bool) {
    let mut ring = ring();
    ring.submitter().register_files(&[passwd().as_raw_fd()]).expect("a table");
    let mut buffer = [0; 8];
    let read = match mended {
        true => opcode::Read::new(types::Fixed(0), buffer.as_mut_ptr(), 8),
        false => opcode::Read::new(types::Fd(0), buffer.as_mut_ptr(), 8),
    };
    run(&mut ring, read.build(), 1);
}
