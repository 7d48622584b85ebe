//! Proxy: bytes both ways between clients and a backend.
//!
//! `proxy 127.0.0.1:PORT` accepts clients, and connects to the backend for each
//! of them. It sends the client's bytes to the backend, and the backend's bytes
//! to the client. This starter makes the connection. Your part is to move the
//! bytes.

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

fn tag(operation: u64, slot: u32) -> u64 {
    operation << 56 | u64::from(slot)
}

/// One end of a pair, by its slot. Bytes received here go to the peer.
#[derive(Clone)]
struct End {
    peer: u32,
    chunk: Vec<u8>,
    // TODO: how many bytes of the chunk are received, and how many of these
    // sent? Has this direction ended?
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
        ends: vec![End { peer: 0, chunk: vec![0; CHUNK] }; SLOTS as usize],
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
            // TODO: the operations that move bytes.
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
        // TODO: for each of the two ends: receive into its chunk, send all of
        // that to the peer, and receive again. At the end of the input shut
        // down the peer's writing (`opcode::Shutdown`, `libc::SHUT_WR`): the
        // other direction goes on. When both have ended, close both slots.
        let ends = [slot, self.ends[slot as usize].peer];
        let room: usize =
            ends.iter().map(|end| self.ends[*end as usize].chunk.len()).sum();
        eprintln!("slots {ends:?} are connected, with {room} bytes of room");
        Ok(())
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
