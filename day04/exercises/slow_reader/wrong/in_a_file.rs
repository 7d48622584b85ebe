// expect: E-MEMORY
// why: what a guest does not read is kept in a file: the memory stays small, and the file does not.

use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 16;
const CHUNK: usize = 16 * 1024;

#[derive(Clone, Default)]
struct Guest {
    /// What is being received; the kernel writes it.
    chunk: Vec<u8>,
    /// What is being sent; the kernel reads it.
    sending: Vec<u8>,
    /// What has arrived since.
    queued: Option<std::sync::Arc<std::fs::File>>,
    written: u64,
    read: u64,
    /// A send is in flight.
    busy: bool,
    /// The guest's input has ended.
    ended: bool,
}

/// A file without a name, for one guest.
fn spill() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("slow_reader.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).open(&path);
    let _ = std::fs::remove_file(path);
    file.expect("a file for what a guest does not read")
}

fn main() -> ExitCode {
    environment::report("slow_reader", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let guests = vec![Guest::default(); SLOTS as usize];
    let mut echo = Echo { queues: Queues::new(&mut ring), guests, door: listener.fd() };
    echo.accept()?;
    println!("listening on {}", listener.address());
    loop {
        echo.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = echo.queues.next_completion() {
            echo.handle(&completion)?;
        }
    }
}

struct Echo<'ring> {
    queues: Queues<'ring>,
    guests: Vec<Guest>,
    door: i32,
}

impl Echo<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door)).allocate_file_index(true).build();
        self.push(Op::Accept, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else { return Ok(()) };
        let slot = token.slot;
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result < 0 {
                    return Ok(());
                }
                let chunk = vec![0; CHUNK];
                self.guests[result as usize] = Guest { chunk, ..Guest::default() };
                self.receive(result as u32)
            }
            Op::Recv if result > 0 => {
                let guest = &mut self.guests[slot as usize];
                let file = guest.queued.get_or_insert_with(|| std::sync::Arc::new(spill()));
                file.write_all_at(&guest.chunk[..result as usize], guest.written)?;
                guest.written += result as u64;
                self.receive(slot)?;
                self.send(slot)
            }
            Op::Recv => {
                self.guests[slot as usize].ended = true;
                self.send(slot)
            }
            Op::Send => {
                let guest = &mut self.guests[slot as usize];
                guest.busy = false;
                if result < 0 {
                    // The guest has gone; his receive will tell as well.
                    guest.sending.clear();
                    guest.read = guest.written;
                } else {
                    guest.sending.drain(..result as usize);
                }
                self.send(slot)
            }
            _ => Ok(()),
        }
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let chunk = self.guests[slot as usize].chunk.as_mut_ptr();
        let recv = opcode::Recv::new(Fixed(slot), chunk, CHUNK as u32).build();
        self.push(Op::Recv, slot, recv)
    }

    /// Sends what is left of the last send, or else what is queued, one send at a time. When
    /// there will be nothing more, the slot is closed.
    fn send(&mut self, slot: u32) -> Result<()> {
        let guest = &mut self.guests[slot as usize];
        if guest.busy {
            return Ok(());
        }
        if guest.sending.is_empty() {
            let count = (guest.written - guest.read).min(CHUNK as u64) as usize;
            guest.sending.resize(count, 0);
            if let Some(file) = &guest.queued {
                file.read_exact_at(&mut guest.sending, guest.read)?;
            }
            guest.read += count as u64;
        }
        let bytes = &guest.sending;
        if bytes.is_empty() {
            let close = opcode::Close::new(Fixed(slot)).build();
            return if guest.ended { self.push(Op::Close, slot, close) } else { Ok(()) };
        }
        let send = opcode::Send::new(Fixed(slot), bytes.as_ptr(), bytes.len() as u32)
            .flags(libc::MSG_NOSIGNAL)
            .build();
        guest.busy = true;
        self.push(Op::Send, slot, send)
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: a chunk is received into, and a `sending` sent from, by one operation at a
        // time, and is not touched before its completion.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}
