//! Chain: receive, send and close in one submit.
//!
//! Every client sends sixteen bytes, gets them back and is closed. When the
//! client is accepted, the server submits the three operations together. They
//! are linked, and post no completion when they succeed: a client costs one
//! call.

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::squeue::Flags;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;
/// The bytes of a request. A client that sends fewer gets no answer.
const LENGTH: usize = 16;

fn main() -> ExitCode {
    environment::report("chain", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let requests = vec![[0; LENGTH]; SLOTS as usize];
    let mut server = Server {
        queues: Queues::new(&mut ring),
        requests,
        door: listener.fd(),
    };
    server.accept()?;
    println!("listening on {}", listener.address());
    loop {
        server.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = server.queues.next_completion() {
            server.handle(&completion)?;
        }
    }
}

struct Server<'ring> {
    queues: Queues<'ring>,
    requests: Vec<[u8; LENGTH]>,
    door: i32,
}

impl Server<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(Op::Accept, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        let slot = token.slot;
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result >= 0 { self.serve(result as u32) } else { Ok(()) }
            }
            // Only an entry that has failed completes. The kernel has cancelled
            // the entries linked behind it.
            Op::Recv | Op::Send => self.push(Op::Close, slot, close(slot)),
            //                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            // the kernel has cancelled the chain's own close
            _ => Ok(()),
        }
    }

    fn serve(&mut self, slot: u32) -> Result<()> {
        self.queues.room_for(3)?;
        // ^^^^^^^^^^^^^^^^^^^^ a link ends where a submit ends, so make room
        //                      for all three
        let linked = Flags::IO_LINK | Flags::SKIP_SUCCESS;
        //                            ^^^^^^^^^^^^^^^^^^^
        // no completion if it succeeds (Linux 5.17)
        let recv = self.receive(slot).flags(linked);
        self.push(Op::Recv, slot, recv)?;
        let send = self.send(slot).flags(linked);
        self.push(Op::Send, slot, send)?;
        self.push(Op::Close, slot, close(slot).flags(Flags::SKIP_SUCCESS))
        //                                           ^^^^^^^^^^^^^^^^^^^
        // the last one: nothing is linked behind it
    }

    /// All sixteen bytes: with MSG_WAITALL a receive of fewer counts as failed.
    fn receive(&mut self, slot: u32) -> squeue::Entry {
        let request = self.requests[slot as usize].as_mut_ptr();
        opcode::Recv::new(Fixed(slot), request, LENGTH as u32)
            .flags(libc::MSG_WAITALL)
            .build()
    }

    fn send(&self, slot: u32) -> squeue::Entry {
        let request = self.requests[slot as usize].as_ptr();
        opcode::Send::new(Fixed(slot), request, LENGTH as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: a slot's request lives as long as the loop, and the receive
        // into it has ended when the send from it begins.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}

fn close(slot: u32) -> squeue::Entry {
    opcode::Close::new(Fixed(slot)).build()
}
