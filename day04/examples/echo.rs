// ANCHOR: head
//! An echo server on io_uring, whole in one file.
//!
//! The practices it shows:
//! - one multishot accept, armed once, with a completion for every client (Linux 5.19);
//! - clients in slots of the ring's own file table instead of file descriptors (5.19);
//! - one multishot receive a client, with a completion for whatever arrives (6.0);
//! - provided buffers: the kernel picks one from a common ring when bytes have come (5.19);
//! - one system call a turn, which submits and waits, for all clients together.
//!
//! It needs Linux 6.0. With 6.1 and later it defers the kernel's work until it waits.
//!
//! ```text
//! cargo run -p day04 --example echo              # 127.0.0.1:4242; or -- PORT, 0 for a free one
//! nc -N 127.0.0.1 4242                           # in a second terminal: type a line
//! cargo xtask trace -- target/debug/examples/echo
//! ```
//!
//! Its end lists what it does not do, each with the part of day 4 that does.
// ANCHOR_END: head

use std::io::{Error, ErrorKind, Result};
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

// ANCHOR: sizes
/// Entries of the submission queue. A fuller turn submits more than once.
const ENTRIES: u32 = 256;
/// Entries of the completion queue: a multishot posts many completions for one entry.
const COMPLETIONS: u32 = 4096;
/// Slots of the file table: clients at a time.
const SLOTS: u32 = 1024;
/// Provided buffers, a power of two, and the bytes in each.
const BUFFERS: u16 = 1024;
const BUFFER_SIZE: usize = 4096;
/// The number of our only buffer group.
const GROUP: u16 = 0;
// ANCHOR_END: sizes

// ANCHOR: user_data
// The kernel does not read `user_data`. Ours says what completed:
//
//  63      56 55                40 39    32 31                               0
// +----------+--------------------+--------+----------------------------------+
// | ACCEPT.. | buffer (of a SEND) |  zero  |   slot (of a RECV or a SEND)     |
// +----------+--------------------+--------+----------------------------------+
const ACCEPT: u64 = 1;
const RECV: u64 = 2;
const SEND: u64 = 3;
const CLOSE: u64 = 4;

fn user_data(operation: u64, buffer: u16, slot: u32) -> u64 {
    operation << 56 | u64::from(buffer) << 40 | u64::from(slot)
}
// ANCHOR_END: user_data

// ANCHOR: main
fn main() -> Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(4242), |port| port.parse());
    let port: u16 = port.map_err(|error| Error::other(format!("usage: echo [PORT]: {error}")))?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let ring = build_ring()?;
    // Slots 0 to SLOTS - 1, all empty. An accept puts its client into one of them.
    ring.submitter().register_files_sparse(SLOTS)?;
    let buffers = Buffers::register(&ring)?;
    println!("listening on {}", listener.local_addr()?);
    Server { ring, listener, buffers, starved: Vec::new() }.run()
}
// ANCHOR_END: main

// ANCHOR: ring
fn build_ring() -> Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        // An invalid entry does not hold up those behind it.
        .setup_submit_all()
        // Twice the entries is the default, and little for multishots.
        .setup_cqsize(COMPLETIONS)
        // Only this thread submits; in return the kernel needs fewer locks, and ...
        .setup_single_issuer()
        // ... does its part of the work while this thread waits, instead of interrupting it.
        .setup_defer_taskrun();
    // ANCHOR_END: ring
    // ANCHOR: fallback
    match builder.build(ENTRIES) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            // Linux 6.0 has no DEFER_TASKRUN. COOP_TASKRUN at least sends no interrupt.
            IoUring::builder()
                .setup_submit_all()
                .setup_cqsize(COMPLETIONS)
                .setup_coop_taskrun()
                .build(ENTRIES)
        }
        built => built,
    }
}
// ANCHOR_END: fallback

// ANCHOR: server
struct Server {
    ring: IoUring,
    listener: TcpListener,
    buffers: Buffers,
    /// Slots whose receive found no buffer.
    starved: Vec<u32>,
}
// ANCHOR_END: server

// ANCHOR: run
impl Server {
    fn run(mut self) -> Result<()> {
        self.add_accept()?;
        loop {
            // The only system call of a turn: submit what the last turn added, and wait.
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            while let Some(completion) = self.next_completion() {
                let (result, flags) = (completion.result(), completion.flags());
                let slot = completion.user_data() as u32;
                match completion.user_data() >> 56 {
                    ACCEPT => self.handle_accept(result, flags)?,
                    RECV => self.handle_recv(slot, result, flags)?,
                    SEND => self.handle_send((completion.user_data() >> 40) as u16)?,
                    _ => {} // CLOSE: the kernel may give the slot to the next client
                }
            }
        }
    }
    // ANCHOR_END: run

    // ANCHOR: push
    /// Takes the oldest completion off the queue. Its place is the kernel's again.
    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    /// Adds an entry to the submission queue; the next turn submits it.
    fn push(&mut self, entry: squeue::Entry, user_data: u64) -> Result<()> {
        let entry = entry.user_data(user_data);
        // SAFETY: of our entries only a send points at memory: at a buffer of `Buffers`, which
        // is never freed, and which the kernel does not fill before `give_back`, after the send.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit()?; // The queue is full: the kernel takes what is in it.
        }
        Ok(())
    }
    // ANCHOR_END: push

    // ANCHOR: accept
    fn add_accept(&mut self) -> Result<()> {
        let listener = Fd(self.listener.as_raw_fd());
        let accept = opcode::AcceptMulti::new(listener).allocate_file_index(true).build();
        self.push(accept, user_data(ACCEPT, 0, 0))
    }

    fn handle_accept(&mut self, result: i32, flags: u32) -> Result<()> {
        if !cqueue::more(flags) {
            self.add_accept()?; // The multishot has ended, whatever its result.
        }
        if result < 0 {
            eprintln!("accept: {}", Error::from_raw_os_error(-result));
            return Ok(());
        }
        self.add_recv(result as u32) // The result is the client's slot.
    }
    // ANCHOR_END: accept

    // ANCHOR: add_recv
    fn add_recv(&mut self, slot: u32) -> Result<()> {
        let recv = opcode::RecvMulti::new(Fixed(slot), GROUP).build();
        self.push(recv, user_data(RECV, 0, slot))
    }
    // ANCHOR_END: add_recv

    // ANCHOR: recv
    /// The life of a buffer:
    /// 1. it lies in the buffer ring, and belongs to the kernel;
    /// 2. bytes come: the kernel fills it, and the receive's completion names it. It is ours;
    /// 3. a send reads from it;
    /// 4. the send completes, and the buffer goes back into the ring.
    fn handle_recv(&mut self, slot: u32, result: i32, flags: u32) -> Result<()> {
        if let Some(buffer) = cqueue::buffer_select(flags) {
            self.add_send(slot, buffer, result as u32)?;
        }
        match result {
            _ if cqueue::more(flags) => Ok(()), // The receive stays armed.
            // No buffer was left. Armed again now it would fail again at once, without end.
            _ if result == -libc::ENOBUFS => {
                self.starved.push(slot);
                Ok(())
            }
            1.. => self.add_recv(slot), // The completion queue was full: arm it again.
            // The client's end, or an error. Sends still under way keep the socket alive.
            _ => self.push(opcode::Close::new(Fixed(slot)).build(), user_data(CLOSE, 0, slot)),
        }
    }
    // ANCHOR_END: recv

    // ANCHOR: send
    fn add_send(&mut self, slot: u32, buffer: u16, length: u32) -> Result<()> {
        let bytes = self.buffers.address(buffer);
        let send = opcode::Send::new(Fixed(slot), bytes, length).build();
        self.push(send, user_data(SEND, buffer, slot))
    }

    /// A send that failed gives its buffer back, too; the receive learns that the client is gone.
    fn handle_send(&mut self, buffer: u16) -> Result<()> {
        self.buffers.give_back(buffer);
        while let Some(slot) = self.starved.pop() {
            self.add_recv(slot)?;
        }
        Ok(())
    }
}
// ANCHOR_END: send

// ANCHOR: buffers
/// The provided buffers, and the ring of entries through which they go to the kernel.
struct Buffers {
    entries: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    fn register(ring: &IoUring) -> Result<Buffers> {
        let entries = pages(usize::from(BUFFERS) * size_of::<BufRingEntry>())?.cast();
        let memory = pages(usize::from(BUFFERS) * BUFFER_SIZE)?;
        let mut buffers = Buffers { entries, memory, tail: 0 };
        let address = buffers.entries as u64;
        // SAFETY: page-aligned memory for BUFFERS entries, which is never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0) }?;
        (0..BUFFERS).for_each(|buffer| buffers.give_back(buffer));
        Ok(buffers)
    }

    fn address(&self, buffer: u16) -> *mut u8 {
        self.memory.wrapping_add(usize::from(buffer) * BUFFER_SIZE)
    }
    // ANCHOR_END: buffers

    // ANCHOR: give_back
    /// Nothing may use the buffer any more: from here on the kernel may fill it.
    fn give_back(&mut self, buffer: u16) {
        let address = self.address(buffer) as u64;
        // SAFETY: the index is masked to the size of the ring. The kernel reads the entry only
        // after the store to the tail, which lies in spare bytes of the first entry.
        unsafe {
            let entry = &mut *self.entries.add(usize::from(self.tail % BUFFERS));
            entry.set_addr(address);
            entry.set_len(BUFFER_SIZE as u32);
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.entries).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}
// ANCHOR_END: give_back

// ANCHOR: pages
/// Zeroed, page-aligned memory that lives as long as the program.
fn pages(bytes: usize) -> Result<*mut u8> {
    let bytes = NonZeroUsize::new(bytes).expect("a size above zero");
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let pages = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE) }?;
    Ok(pages.as_ptr().cast())
}
// ANCHOR_END: pages

// ANCHOR: not_done
// What this program does not do, and the part of day 4 that does:
//
// - Reuse of slots. This program remembers nothing of a client, so a late completion does no
//   harm. A program that keeps something for each slot must know which client a completion is
//   for: `src/server.rs` puts a generation into `user_data`.
// - Capacity. When the table is full, the kernel accepts the next client and drops it.
//   `src/accept.rs` lets clients wait.
// - Closing. This server never ends a connection first. One that answers and closes may reset
//   a client that is still sending, and lose the answer. And up to Linux 6.12 the client may
//   see its end late. `src/close.rs` finishes, aborts and closes.
// - Silent clients. A client that sends nothing keeps its slot. `src/timeouts.rs` ends it.
// - Signals. Ctrl-C ends the program at once. `src/stop.rs` answers what has arrived first.
// - Reports. `src/events.rs` says what happens, as text or JSON, and never waits for the output.
// - Refusals. An old kernel, a blocked ring or a low limit gives a bare error.
// `common/src/environment` explains it and says what to type.
// - Short sends. A slow reader's socket may take part of a reply; the rest is lost here.
//   `src/reply.rs` sends the rest.
// - Order. Several sends to a client are in flight at a time, and one may overtake another.
//   `src/reply.rs` has one in flight for each client.
// - Slow clients. One that sends and never reads gets all the buffers, and no other client is
//   served. `src/receive.rs` stops receiving from it; `src/timeouts.rs` ends it if others wait.
// ANCHOR_END: not_done
