//! Whose completion? A late one must not affect another client.
//!
//! A client has a second and a half for a request, which the server sends back
//! before it closes the slot. When a quick client has left, its timeout is
//! still in flight. `user_data` names the slot's client that it was for, so
//! that it affects no other when it completes.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use io_uring::types::{Fd, Fixed, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// Leave it at two, so that slots are soon used again.
const SLOTS: u32 = 2;
const REQUEST: usize = 64;
const PATIENCE: Duration = Duration::from_millis(1500);

const ACCEPT: u64 = 1;
const RECV: u64 = 2;
const SEND: u64 = 3;
const SHUTDOWN: u64 = 4;
const CLOSE: u64 = 5;
const TIMEOUT: u64 = 6;

fn tag(operation: u64, slot: u32, generation: u16) -> u64 {
    operation << 56 | u64::from(generation) << 32 | u64::from(slot)
    //                ^^^^^^^^^^^^^^^^^^^^^^^^^^^ 16 bits: the 65,536th client
    //                                            of a slot would be the first
    //                                            again
}

fn untag(user_data: u64) -> (u64, u32, u16) {
    (user_data >> 56, user_data as u32, (user_data >> 32) as u16)
}

#[derive(Clone)]
struct Client {
    here: bool,
    /// Counts the clients of this slot.
    generation: u16,
    request: [u8; REQUEST],
}

fn main() -> ExitCode {
    environment::report("whose_completion", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let mut inn = Inn {
        queues: Queues::new(&mut ring),
        clients: vec![
            Client {
                here: false,
                generation: 0,
                request: [0; REQUEST]
            };
            SLOTS as usize
        ],
        door: listener.fd(),
        patience: Timespec::from(PATIENCE),
    };
    inn.accept()?;
    println!("listening on {}", listener.address());
    loop {
        inn.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = inn.queues.next_completion() {
            inn.handle(&completion)?;
        }
    }
}

struct Inn<'ring> {
    queues: Queues<'ring>,
    clients: Vec<Client>,
    door: i32,
    patience: Timespec,
}

impl Inn<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(ACCEPT, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let (operation, slot, generation) = untag(completion.user_data());
        if operation != ACCEPT
            && generation != self.clients[slot as usize].generation
        {
            return Ok(());
            //     ^^^^^^ it was for an earlier client, and must not touch this
            //            one
        }
        match operation {
            ACCEPT => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result >= 0 { self.arrived(result as u32) } else { Ok(()) }
            }
            RECV if result > 0 => {
                let request = self.clients[slot as usize].request.as_ptr();
                let send =
                    opcode::Send::new(Fixed(slot), request, result as u32)
                        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
                self.push(SEND, slot, send.build())
            }
            RECV | SEND => {
                self.push(CLOSE, slot, opcode::Close::new(Fixed(slot)).build())
            }
            // Time is up: the receive that is in flight ends with 0, and the
            // slot is closed.
            TIMEOUT if self.clients[slot as usize].here => {
                let shutdown =
                    opcode::Shutdown::new(Fixed(slot), libc::SHUT_RDWR).build();
                self.push(SHUTDOWN, slot, shutdown)
            }
            CLOSE => {
                self.clients[slot as usize].here = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A new client: receives its request, with a timeout.
    fn arrived(&mut self, slot: u32) -> Result<()> {
        let client = &mut self.clients[slot as usize];
        client.here = true;
        client.generation = client.generation.wrapping_add(1);
        //                  ^^^^^^^^^^^^^^^^ at the accept: earlier operations
        //                                   are for another client
        let recv = opcode::Recv::new(
            Fixed(slot),
            client.request.as_mut_ptr(),
            REQUEST as u32,
        );
        self.push(RECV, slot, recv.build())?;
        let timeout = opcode::Timeout::new(&self.patience).build();
        self.push(TIMEOUT, slot, timeout)
    }

    fn push(
        &mut self,
        operation: u64,
        slot: u32,
        entry: squeue::Entry,
    ) -> Result<()> {
        let generation = self.clients[slot as usize].generation;
        let entry = entry.user_data(tag(operation, slot, generation));
        // SAFETY: a client's request is used by one operation at a time and,
        // like the time, lives as long as the loop.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}
