//! Close the slot: a thousand clients, and afterwards no slot is taken.
//!
//! A client that sends something gets `ack` and a zero byte. Then this server
//! calls `close(2)` with the number of the slot, as the journal did: the first
//! client closes the server's standard input, the fourth its listener, and no
//! client ever sees the end. Close each connection so that the client gets the
//! whole answer and the end, and its slot becomes free.

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::slots::Slots;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;
const REQUEST: usize = 1024;
const ACK: &[u8; 4] = b"ack\0";

fn main() -> ExitCode {
    environment::report("close_the_slot", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let mut server = Server {
        queues: Queues::new(&mut ring),
        slots: Slots::new(SLOTS),
        requests: vec![[0; REQUEST]; SLOTS as usize],
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
    /// Which slots have a client, and how many operations each of them has in
    /// flight.
    slots: Slots,
    requests: Vec<[u8; REQUEST]>,
    door: i32,
}

impl Server<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(Token::of(Op::Accept), accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        let slot = token.slot;
        if token.op != Op::Accept && !self.slots.finish(slot, token.generation)
        {
            return Ok(()); // an earlier client's of this slot
        }
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result >= 0 { self.greet(result as u32) } else { Ok(()) }
            }
            Op::Recv if result > 0 => {
                let send = opcode::Send::new(
                    Fixed(slot),
                    ACK.as_ptr(),
                    ACK.len() as u32,
                )
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
                self.push_on(slot, Op::Send, send.build())
            }
            Op::Recv | Op::Send => self.leave(slot),
            // TODO: the completions of what `leave` pushes.
            _ => Ok(()),
        }
    }

    /// A client, which should send something.
    fn greet(&mut self, slot: u32) -> Result<()> {
        self.slots.occupy(slot);
        let request = self.requests[slot as usize].as_mut_ptr();
        let recv =
            opcode::Recv::new(Fixed(slot), request, REQUEST as u32).build();
        self.push_on(slot, Op::Recv, recv)
    }

    // TODO: a slot is not a descriptor. And a close with unread input resets
    // the connection, and the client may lose the answer. So end our side
    // first, discard the client's input up to its end, and then close.
    fn leave(&mut self, slot: u32) -> Result<()> {
        // SAFETY: this is not safe: the descriptor of that number has another
        // owner.
        unsafe { libc::close(slot as i32) };
        self.slots.release(slot);
        Ok(())
    }

    fn push_on(
        &mut self,
        slot: u32,
        op: Op,
        entry: squeue::Entry,
    ) -> Result<()> {
        let generation =
            self.slots.generation(slot).context("a slot without a client")?;
        self.slots.start(slot);
        self.push(Token::on(op, slot, generation), entry)
    }

    fn push(&mut self, token: Token, entry: squeue::Entry) -> Result<()> {
        // SAFETY: a slot's request is used by one operation at a time and lives
        // as long as the loop; the answer is a constant.
        unsafe { self.queues.push(&entry.user_data(token.pack())) }
            .context("submitting")
    }
}
