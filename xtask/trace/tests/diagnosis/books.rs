//! Buffers, files and bytes that get lost.

use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::{cancel, close, fd, here, pages, pair, provide, push, receive, ring, run, take};

pub fn keeps_buffers(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 128];
    provide(&mut ring, &mut memory, 2, 0);
    let (here, mut there) = pair();
    for user_data in 1..=4 {
        there.write_all(b"message").expect("seven bytes");
        let (_, flags) = run(&mut ring, receive(&here, 0), user_data);
        if let Some(id) = cqueue::buffer_select(flags).filter(|_| mended) {
            provide(&mut ring, &mut memory[usize::from(id) * 64..], 1, id);
        }
    }
}

/// A ring of two buffers of 64 bytes.
struct BufferRing {
    places: *mut u8,
    memory: *mut u8,
    tail: u16,
}

impl BufferRing {
    fn new(ring: &IoUring) -> BufferRing {
        let (places, memory) = (pages(1), pages(1));
        // SAFETY: the page outlives the ring: it is never unmapped.
        here(unsafe { ring.submitter().register_buf_ring_with_flags(places as u64, 2, 0, 0) });
        let mut buffers = BufferRing { places, memory, tail: 0 };
        buffers.give(0);
        buffers.give(1);
        buffers
    }

    fn give(&mut self, id: u16) {
        // SAFETY: `struct io_uring_buf`: address, length, id; the tail is in the last two bytes of
        // the first.
        unsafe {
            let place = self.places.add(usize::from(self.tail % 2) * 16);
            place.cast::<u64>().write(self.memory.add(usize::from(id) * 64) as u64);
            place.add(8).cast::<u32>().write(64);
            place.add(12).cast::<u16>().write(id);
            self.tail += 1;
            self.places.add(14).cast::<u16>().write_volatile(self.tail);
        }
    }
}

pub fn keeps_buffers_of_a_ring(mended: bool) {
    let mut ring = ring();
    let mut buffers = BufferRing::new(&ring);
    let (here, mut there) = pair();
    for user_data in 1..=5 {
        there.write_all(b"message").expect("seven bytes");
        let (_, flags) = run(&mut ring, receive(&here, 0), user_data);
        if let Some(id) = cqueue::buffer_select(flags).filter(|_| mended) {
            buffers.give(id);
        }
    }
}

pub fn never_advances_the_tail(mended: bool) {
    let mut ring = ring();
    let buffers = BufferRing::new(&ring);
    if !mended {
        // SAFETY: the tail, as in `give`; nothing was received yet.
        unsafe { buffers.places.add(14).cast::<u16>().write_volatile(0) };
    }
    let (here, mut there) = pair();
    there.write_all(b"message").expect("seven bytes");
    run(&mut ring, receive(&here, 0), 1);
}

pub fn no_group(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 64];
    provide(&mut ring, &mut memory, 1, 0);
    let (here, mut there) = pair();
    there.write_all(b"message").expect("seven bytes");
    run(&mut ring, receive(&here, if mended { 0 } else { 7 }), 1);
}

pub fn buffers_too_close(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 128];
    provide(&mut ring, &mut memory, 1, 0);
    provide(&mut ring, &mut memory[if mended { 64 } else { 32 }..], 1, 1);
}

pub fn gives_back_twice(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 128];
    provide(&mut ring, &mut memory, 2, 0);
    let (here, mut there) = pair();
    there.write_all(b"message").expect("seven bytes");
    let (_, flags) = run(&mut ring, receive(&here, 0), 1);
    let id = cqueue::buffer_select(flags).expect("a buffer");
    for _ in 0..if mended { 1 } else { 2 } {
        provide(&mut ring, &mut memory[usize::from(id) * 64..], 1, id);
    }
}

fn accept(listener: &TcpListener) -> squeue::Entry {
    let none = std::ptr::null_mut();
    opcode::Accept::new(fd(listener), none, none.cast()).build()
}

pub fn cancelled_too_late(mended: bool) {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    push(&mut ring, accept(&listener), 1);
    ring.submit().expect("an enter");
    let _client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    push(&mut ring, cancel(1), 2);
    let mut taken = 0;
    while taken < 2 {
        for (name, result, _) in take(&mut ring, 1) {
            taken += 1;
            if name == 1 && mended {
                close(result);
            }
        }
    }
}

pub fn forgets_clients(mended: bool) {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let _client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let (client, _) = run(&mut ring, accept(&listener), 1);
    if mended {
        close(client);
    }
    sleep(Duration::from_millis(200));
}

pub fn keeps_the_dead(mended: bool) {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let (served, _) = run(&mut ring, accept(&listener), 1);
    drop(client);
    let mut buffer = [0; 8];
    let end = opcode::Recv::new(types::Fd(served), buffer.as_mut_ptr(), 8).build();
    assert_eq!(run(&mut ring, end, 2).0, 0);
    if mended {
        run(&mut ring, opcode::Close::new(types::Fd(served)).build(), 3);
    }
    sleep(Duration::from_millis(200));
}

pub fn short_read_in_a_chain(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(4));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, b"four").expect("a file");
    let path = CString::new(path.into_os_string().into_encoded_bytes()).expect("no zero");
    let slot = types::DestinationSlot::try_from_slot_target(1).expect("a slot");
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).file_index(Some(slot));
    let mut buffer = [0; 64];
    let length = if mended { 4 } else { 64 };
    let read = opcode::Read::new(types::Fixed(1), buffer.as_mut_ptr(), length).build();
    push(&mut ring, open.build().flags(squeue::Flags::IO_LINK), 1);
    push(&mut ring, read.flags(squeue::Flags::IO_LINK), 2);
    push(&mut ring, opcode::Close::new(types::Fixed(1)).build(), 3);
    take(&mut ring, 3);
}

pub fn fills_the_table(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(3));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let at = listener.local_addr().expect("a port");
    for _ in 0..4 {
        let client = TcpStream::connect(at).expect("a client");
        let none = std::ptr::null_mut();
        let slot = Some(types::DestinationSlot::auto_target());
        let accept = opcode::Accept::new(fd(&listener), none, none.cast()).file_index(slot);
        let (slot, _) = run(&mut ring, accept.build(), 1);
        drop(client);
        if slot < 0 {
            continue;
        }
        let mut buffer = [0; 8];
        let slot = types::Fixed(slot as u32);
        run(&mut ring, opcode::Recv::new(slot, buffer.as_mut_ptr(), 8).build(), 2);
        // The others have been gone for a while when the last one comes.
        sleep(Duration::from_millis(120));
        if mended {
            run(&mut ring, opcode::Close::new(slot).build(), 3);
        }
    }
}

pub fn half_an_answer(mended: bool) {
    let mut ring = ring();
    let (server, mut client) = pair();
    server.set_nonblocking(true).expect("a socket");
    let answer = vec![b'x'; 4 << 20];
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("the answer")
    });
    let mut sent = 0;
    while sent < answer.len() {
        let rest = &answer[sent..];
        let send = opcode::Send::new(fd(&server), rest.as_ptr(), rest.len() as u32).build();
        sent += run(&mut ring, send, 1).0.max(0) as usize;
        if !mended {
            break;
        }
    }
    drop(server);
    reader.join().expect("the client");
}

pub fn lines_over_lines(mended: bool) {
    let mut ring = ring();
    let mut file = tempfile::tempfile().expect("a file");
    for line in ["09:00 start\n", "09:01 tests\n", "09:02 stops\n"] {
        let write = opcode::Write::new(fd(&file), line.as_ptr(), line.len() as u32);
        let offset = if mended { u64::MAX } else { 0 };
        run(&mut ring, write.offset(offset).build(), 1);
    }
    file.flush().expect("nothing to flush");
}
