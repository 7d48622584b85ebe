//! A thread of `acceptor` that serves: it echoes to the clients that the acceptor gives it.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::SyncSender;

use anyhow::{Context, Result};
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::Flags;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};

use super::{
    CLIENT, CLOSE, ENTRIES, LEFT, RECV, SEND, SHUTDOWN, STOP, TELL, done, next_completion, push,
    wait,
};

const BUFFER: usize = 4096;

struct Worker {
    ring: IoUring,
    acceptor: RawFd,
    number: u64,
    /// The slots that have a client.
    clients: BTreeSet<u32>,
    /// Chains of `add_close` on their way. Their slots may have the next client already.
    leaving: u32,
    /// A buffer for each slot: the kernel's while a RECV or a SEND is on its way.
    buffers: &'static mut [[u8; BUFFER]],
    stopping: bool,
}

/// A worker's thread. Its ring is made here, since it belongs to the thread that makes it.
pub fn work(acceptor: RawFd, number: u64, slots: u32, tell: &SyncSender<RawFd>) {
    let serve = || {
        let ring = ring::build_best(&RingOptions::default(), ENTRIES)?.0;
        ring::register_slots(&ring.submitter(), slots)?;
        let buffers = forever(vec![[0; BUFFER]; slots as usize]);
        tell.send(ring.as_raw_fd())?;
        let clients = BTreeSet::new();
        Worker { ring, acceptor, number, clients, leaving: 0, buffers, stopping: false }.serve()
    };
    if let Err(error) = serve() {
        environment::report(env!("CARGO_BIN_NAME"), Err(error));
        std::process::exit(1); // Its clients are lost, and others would wait for it.
    }
}

impl Worker {
    // ANCHOR: work
    fn serve(&mut self) -> Result<()> {
        while !self.stopping || !self.clients.is_empty() || self.leaving > 0 {
            wait(&self.ring)?;
            while let Some(completion) = next_completion(&mut self.ring) {
                let (result, slot) = (completion.result(), completion.user_data() as u32);
                match completion.user_data() >> 32 << 32 {
                    CLIENT => self.handle_client(result as u32)?,
                    STOP => self.handle_stop()?,
                    RECV if result > 0 => self.add_send(slot, result as u32)?,
                    SEND if result > 0 => self.add_recv(slot)?,
                    RECV | SEND => self.add_close(slot)?, // Its end, or an error: it is gone.
                    SHUTDOWN => {}                        // It makes the RECV complete.
                    _ => self.handle_told(result)?,
                }
            }
        }
        Ok(())
    }
    // ANCHOR_END: work

    fn handle_client(&mut self, slot: u32) -> Result<()> {
        self.clients.insert(slot);
        self.add_recv(slot)
    }

    /// No client comes after this. Those that are here get the echo of what has arrived, and the end.
    fn handle_stop(&mut self) -> Result<()> {
        self.stopping = true;
        for slot in self.clients.clone() {
            let shutdown = opcode::Shutdown::new(Fixed(slot), libc::SHUT_RD).build();
            push(&mut self.ring, [(shutdown, SHUTDOWN)])?;
        }
        Ok(())
    }

    fn add_recv(&mut self, slot: u32) -> Result<()> {
        let buffer = self.buffers[slot as usize].as_mut_ptr();
        let recv = opcode::Recv::new(Fixed(slot), buffer, BUFFER as u32);
        push(&mut self.ring, [(recv.build(), RECV | u64::from(slot))])
    }

    fn add_send(&mut self, slot: u32, length: u32) -> Result<()> {
        let buffer = self.buffers[slot as usize].as_ptr();
        // The kernel goes on until all is sent, or the client is gone.
        let send = opcode::Send::new(Fixed(slot), buffer, length).flags(libc::MSG_WAITALL);
        push(&mut self.ring, [(send.build(), SEND | u64::from(slot))])
    }

    // ANCHOR: left
    /// Closes the slot, and then tells the acceptor that there is room.
    fn add_close(&mut self, slot: u32) -> Result<()> {
        self.clients.remove(&slot);
        self.leaving += 1;
        let close = opcode::Close::new(Fixed(slot)).build();
        let left = opcode::MsgRingData::new(Fd(self.acceptor), 0, LEFT | self.number, None);
        let close = close.flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
        push(&mut self.ring, [(close, CLOSE), (left.build(), TELL)])
    }

    fn handle_told(&mut self, result: i32) -> Result<()> {
        self.leaving -= 1;
        done(result).context("CLOSE, or MSG_RING to the acceptor")
    }
    // ANCHOR_END: left
}
