//! Buffer ring: four buffers for all clients. A client that finds no free
//! buffer waits.
//!
//! An echo server. A silent client has no buffer: the kernel takes one out of a
//! ring of four when bytes arrive. When all four are in use the receive fails
//! with ENOBUFS. Then the server parks the client, and receives from it again
//! when a buffer comes back.

use std::collections::VecDeque;
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::buffers::Buffers;
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::squeue::Flags;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;
/// Leave these as they are: with a buffer for each client there would be
/// nothing to do.
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
    let mut echo =
        Echo { queues, buffers, sending, parked, door: listener.fd() };
    echo.accept()?;
    println!("listening on {}", listener.address());
    loop {
        echo.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = echo.queues.next_completion() {
            echo.handle(&completion)?;
        }
        echo.unpark()?;
        // ^^^^^^^^^^ once a turn, when all buffers that came back in it are
        //            with the kernel
    }
}

struct Echo<'ring> {
    queues: Queues<'ring>,
    buffers: Buffers,
    /// The buffer that is being sent to the client in each slot.
    sending: Vec<Option<u16>>,
    door: i32,
    /// Slots whose clients wait for a buffer, the longest-waiting first.
    parked: VecDeque<u32>,
}

impl Echo<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(Op::Accept, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let (result, flags) = (completion.result(), completion.flags());
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        let slot = token.slot;
        match token.op {
            Op::Accept => {
                if !cqueue::more(flags) {
                    self.accept()?;
                }
                if result >= 0 { self.receive(result as u32) } else { Ok(()) }
            }
            Op::Recv => match cqueue::buffer_select(flags) {
                Some(buffer) if result > 0 => {
                    self.buffers.take(buffer);
                    self.send_back(slot, buffer, result as u32)
                }
                _ if result == -libc::ENOBUFS => {
                    self.parked.push_back(slot);
                    // ^^^^^^^^^^^^^^^^^^^^^^^^ not received from at once:
                    //                          without a buffer that fails
                    //                          again, and again
                    Ok(())
                }
                _ => self.close(slot),
            },
            Op::Send => {
                if let Some(buffer) = self.sending[slot as usize].take() {
                    self.buffers.give_back(buffer);
                }
                if result < 0 { self.close(slot) } else { self.receive(slot) }
            }
            _ => Ok(()),
        }
    }

    /// Receives again from as many parked clients as there are buffers.
    fn unpark(&mut self) -> Result<()> {
        for _ in 0..self.buffers.with_kernel() {
            //      ^^^^^^^^^^^^^^^^^^^^^^^^^^ a client that finds none after
            //                                 all is parked again
            let Some(slot) = self.parked.pop_front() else { break };
            self.receive(slot)?;
        }
        Ok(())
    }

    /// Waits for bytes; the kernel chooses the buffer when they arrive.
    fn receive(&mut self, slot: u32) -> Result<()> {
        let recv = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), 0)
            .buf_group(self.buffers.group())
            .build()
            .flags(Flags::BUFFER_SELECT);
        self.push(Op::Recv, slot, recv)
    }

    /// Sends from the buffer, which stays ours until the send has completed.
    fn send_back(&mut self, slot: u32, buffer: u16, length: u32) -> Result<()> {
        self.sending[slot as usize] = Some(buffer);
        let send = opcode::Send::new(
            Fixed(slot),
            self.buffers.address(buffer),
            length,
        )
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build();
        self.push(Op::Send, slot, send)
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        self.push(Op::Close, slot, opcode::Close::new(Fixed(slot)).build())
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: a send's buffer is given back only when the send has
        // completed.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}
