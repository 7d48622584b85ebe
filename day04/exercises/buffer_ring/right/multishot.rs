//! Multishot receives; what arrives while a send is in flight waits in its buffer.

use std::collections::VecDeque;
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::buffers::Buffers;
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;
/// Leave these as they are: with a buffer for everybody there would be nothing to do.
const BUFFERS: u16 = 4;
const SIZE: u32 = 4096;

fn main() -> ExitCode {
    environment::report("buffer_ring", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let buffers = Buffers::register(&ring.submitter(), 1, BUFFERS, SIZE)?;
    let sending = vec![None; SLOTS as usize];
    let queues = Queues::new(&mut ring);
    let parked = VecDeque::new();
    let mut echo = Echo {
        queues,
        buffers,
        queued: vec![VecDeque::new(); SLOTS as usize],
        open: vec![false; SLOTS as usize],
        sending,
        parked,
        door: listener.fd(),
    };
    echo.accept()?;
    println!("listening on {}", listener.address());
    loop {
        echo.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = echo.queues.next_completion() {
            echo.handle(&completion)?;
        }
        echo.unpark()?;
    }
}

struct Echo<'ring> {
    queues: Queues<'ring>,
    buffers: Buffers,
    /// The buffer that is being sent to the guest in each slot.
    sending: Vec<Option<u16>>,
    /// Buffers that go next, and how full they are.
    queued: Vec<VecDeque<(u16, u32)>>,
    /// A receive is in flight, or its guest waits for a buffer.
    open: Vec<bool>,
    door: i32,
    /// Slots whose guests wait for a buffer, in the order in which they came.
    parked: VecDeque<u32>,
}

impl Echo<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door)).allocate_file_index(true).build();
        self.push(Op::Accept, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let (result, flags) = (completion.result(), completion.flags());
        let Some(token) = Token::unpack(completion.user_data()) else { return Ok(()) };
        let slot = token.slot;
        match token.op {
            Op::Accept => {
                if !cqueue::more(flags) {
                    self.accept()?;
                }
                if result < 0 {
                    return Ok(());
                }
                self.open[result as usize] = true;
                self.receive(result as u32)
            }
            Op::Recv => match cqueue::buffer_select(flags) {
                Some(buffer) if result > 0 => {
                    self.buffers.take(buffer);
                    self.queued[slot as usize].push_back((buffer, result as u32));
                    if !cqueue::more(flags) {
                        self.parked.push_back(slot);
                    }
                    self.send_next(slot)
                }
                _ if result == -libc::ENOBUFS => {
                    self.parked.push_back(slot);
                    Ok(())
                }
                _ => {
                    self.open[slot as usize] = false;
                    self.send_next(slot)
                }
            },
            Op::Send => {
                if let Some(buffer) = self.sending[slot as usize].take() {
                    self.buffers.give_back(buffer);
                }
                if result < 0 {
                    while let Some((buffer, _)) = self.queued[slot as usize].pop_front() {
                        self.buffers.give_back(buffer);
                    }
                }
                self.send_next(slot)
            }
            _ => Ok(()),
        }
    }

    /// Receives again from as many parked guests as there are buffers.
    fn unpark(&mut self) -> Result<()> {
        for _ in 0..self.buffers.with_kernel() {
            let Some(slot) = self.parked.pop_front() else { break };
            self.receive(slot)?;
        }
        Ok(())
    }

    /// Waits for bytes; the kernel chooses the buffer when they are there.
    fn receive(&mut self, slot: u32) -> Result<()> {
        let recv = opcode::RecvMulti::new(Fixed(slot), self.buffers.group()).build();
        self.push(Op::Recv, slot, recv)
    }

    /// One send at a time; when there will be nothing more to send, the slot is closed.
    fn send_next(&mut self, slot: u32) -> Result<()> {
        if self.sending[slot as usize].is_some() {
            return Ok(());
        }
        match self.queued[slot as usize].pop_front() {
            Some((buffer, length)) => self.send_back(slot, buffer, length),
            None if !self.open[slot as usize] => self.close(slot),
            None => Ok(()),
        }
    }

    /// Sends out of the buffer, which stays ours until the send has completed.
    fn send_back(&mut self, slot: u32, buffer: u16, length: u32) -> Result<()> {
        self.sending[slot as usize] = Some(buffer);
        let send = opcode::Send::new(Fixed(slot), self.buffers.address(buffer), length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.push(Op::Send, slot, send)
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        self.push(Op::Close, slot, opcode::Close::new(Fixed(slot)).build())
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: a send's buffer is given back only when the send has completed.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}
