//! Proxy: bytes both ways between clients and a backend.
//!
//! `proxy 127.0.0.1:PORT` accepts clients, and connects to the backend for each
//! of them. It sends the client's bytes to the backend, and the backend's bytes
//! to the client. Each direction goes on by itself until its input ends. When
//! both have ended, it closes both slots.

use std::net::SocketAddrV4;
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 256;
const CHUNK: usize = 16 * 1024;

const ACCEPT: u64 = 1;
const SOCKET: u64 = 2;
const CONNECT: u64 = 3;
const CLOSE: u64 = 4;
const RECV: u64 = 5;
const SEND: u64 = 6;
const SHUTDOWN: u64 = 7;

fn tag(operation: u64, slot: u32) -> u64 {
    operation << 56 | u64::from(slot)
}

/// One end of a pair, by its slot. Bytes received here go to the peer.
#[derive(Clone)]
struct End {
    peer: u32,
    chunk: Vec<u8>,
    /// The received bytes of the chunk.
    received: usize,
    /// How many of them the peer's socket has taken.
    sent: usize,
    /// The input has ended, and the peer's writing is shut down.
    done: bool,
}

fn main() -> ExitCode {
    environment::report("proxy", run())
}

fn run() -> Result<()> {
    let backend = std::env::args()
        .nth(1)
        .context("say where the backend is: proxy IP:PORT")?;
    let backend: SocketAddrV4 =
        backend.parse().context("the backend, as in 127.0.0.1:8080")?;
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(256)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let mut proxy = Proxy {
        queues: Queues::new(&mut ring),
        ends: vec![
            End {
                peer: 0,
                chunk: vec![0; CHUNK],
                received: 0,
                sent: 0,
                done: false
            };
            SLOTS as usize
        ],
        door: listener.fd(),
        backend: libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: backend.port().to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from(*backend.ip()).to_be(),
            },
            sin_zero: [0; 8],
        },
    };
    proxy.accept()?;
    println!("listening on {}", listener.address());
    loop {
        proxy.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = proxy.queues.next_completion() {
            proxy.handle(&completion)?;
        }
    }
}

struct Proxy<'ring> {
    queues: Queues<'ring>,
    ends: Vec<End>,
    door: i32,
    backend: libc::sockaddr_in,
}

impl Proxy<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(ACCEPT, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let (operation, slot) =
            (completion.user_data() >> 56, completion.user_data() as u32);
        match operation {
            ACCEPT => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result >= 0 { self.socket(result as u32) } else { Ok(()) }
            }
            // A socket for the client in `slot`, in a slot of its own.
            SOCKET if result >= 0 => self.connect(slot, result as u32),
            SOCKET => self.close(slot),
            CONNECT if result == 0 => self.pump(slot),
            // There is no backend: both slots are closed.
            CONNECT => {
                self.close(self.ends[slot as usize].peer)?;
                self.close(slot)
            }
            RECV if result > 0 => {
                let end = &mut self.ends[slot as usize];
                (end.received, end.sent) = (result as usize, 0);
                self.send(slot)
            }
            SEND if result > 0 => {
                let end = &mut self.ends[slot as usize];
                end.sent += result as usize;
                if end.sent < end.received {
                    self.send(slot)
                //  ^^^^^^^^^^^^^^^ the chunk is free again: no more than one
                //                  chunk is held
                } else {
                    self.receive(slot)
                }
            }
            RECV | SEND => self.end(slot),
            //             ^^^^^^^^^^^^^^ the input has ended, or one of the two
            //                            sides has failed
            SHUTDOWN => {
                let peer = self.ends[slot as usize].peer;
                self.ends[slot as usize].done = true;
                if !self.ends[peer as usize].done {
                    return Ok(());
                    //     ^^^^^^ the other direction goes on: a half-close is
                    //            no end
                }
                self.close(slot)?;
                self.close(peer)
            }
            _ => Ok(()),
        }
    }

    fn socket(&mut self, client: u32) -> Result<()> {
        let socket = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0)
            .file_index(Some(DestinationSlot::auto_target()))
            .build();
        self.push(SOCKET, client, socket)
    }

    fn connect(&mut self, client: u32, server: u32) -> Result<()> {
        self.ends[client as usize].peer = server;
        self.ends[server as usize].peer = client;
        let length = size_of::<libc::sockaddr_in>() as u32;
        let connect = opcode::Connect::new(
            Fixed(server),
            (&raw const self.backend).cast(),
            length,
        );
        self.push(CONNECT, client, connect.build())
    }

    /// The client in `slot` and its peer are connected: moves bytes, both ways.
    fn pump(&mut self, slot: u32) -> Result<()> {
        let ends = [slot, self.ends[slot as usize].peer];
        for end in ends {
            self.ends[end as usize].done = false;
            self.receive(end)?;
        }
        Ok(())
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let chunk = self.ends[slot as usize].chunk.as_mut_ptr();
        let recv = opcode::Recv::new(Fixed(slot), chunk, CHUNK as u32).build();
        self.push(RECV, slot, recv)
    }

    /// Sends the rest of the chunk to the peer. The tag names the slot where it
    /// was received.
    fn send(&mut self, slot: u32) -> Result<()> {
        let end = &self.ends[slot as usize];
        let rest = &end.chunk[end.sent..end.received];
        let send = opcode::Send::new(
            Fixed(end.peer),
            rest.as_ptr(),
            rest.len() as u32,
        )
        .flags(libc::MSG_NOSIGNAL)
        .build();
        self.push(SEND, slot, send)
    }

    /// Ends one direction: the peer gets an end of file.
    fn end(&mut self, slot: u32) -> Result<()> {
        let peer = self.ends[slot as usize].peer;
        let shutdown =
            opcode::Shutdown::new(Fixed(peer), libc::SHUT_WR).build();
        //                                     ^^^^^^^^^^^^^
        // its own bytes must still come through
        self.push(SHUTDOWN, slot, shutdown)
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        self.push(CLOSE, slot, opcode::Close::new(Fixed(slot)).build())
    }

    fn push(
        &mut self,
        operation: u64,
        slot: u32,
        entry: squeue::Entry,
    ) -> Result<()> {
        // SAFETY: the backend's address and the chunks live as long as the
        // loop; a chunk is used by one operation at a time.
        unsafe { self.queues.push(&entry.user_data(tag(operation, slot))) }
            .context("submitting")
    }
}
