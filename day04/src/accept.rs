//! Letting clients in: as on day 3, and then straight to the first receive.

use std::collections::VecDeque;
use std::io;

use anyhow::{Context, Result};
use common::listener::Listener;
use common::token::{Op, Token};
use io_uring::types::{CancelBuilder, DestinationSlot, Fd};
use io_uring::{cqueue, opcode, squeue};

use crate::admission::{Admission, Step};
use crate::connection::Stage;
use crate::events::Event;
use crate::server::Server;

/// Who is let in, and when.
pub struct Accepting<'ring> {
    pub listener: &'ring Listener,
    pub admission: Admission,
    /// Clients that are served at a time.
    pub capacity: u32,
    /// Connections to serve before stopping.
    pub max: Option<u64>,
    /// Clients in spare slots, in the order they came.
    pub waiting: VecDeque<u32>,
}

impl Accepting<'_> {
    fn fd(&self) -> Fd {
        Fd(self.listener.fd())
    }
}

impl Server<'_> {
    /// Adds the accepts, or the cancel, that suit the free slots.
    pub fn add_accepts(&mut self) -> Result<()> {
        let before = self.accepting.admission.way();
        // ANCHOR: accept
        loop {
            let entry = match self.accepting.admission.step(self.slots.held()) {
                Step::ArmMultishot => {
                    opcode::AcceptMulti::new(self.accepting.fd()).allocate_file_index(true).build()
                }
                Step::ArmSingle => {
                    let null = std::ptr::null_mut();
                    opcode::Accept::new(self.accepting.fd(), null, null.cast())
                        .file_index(Some(DestinationSlot::auto_target()))
                        .build()
                }
                Step::Cancel => {
                    self.add_cancel(Token::of(Op::Accept))?;
                    continue;
                }
                Step::Wait => break,
            };
            self.push(Token::of(Op::Accept), entry)?;
        }
        // ANCHOR_END: accept
        let way = self.accepting.admission.way();
        if way != before {
            let waiting = self.accepting.waiting.len() as u32;
            let (held, capacity) = (self.slots.held() - waiting, self.accepting.capacity);
            self.report(&Event::Accepting { way, held, capacity, waiting });
        }
        Ok(())
    }

    /// A client, or the end of the accept. One completion may be both.
    pub fn handle_accept(&mut self, result: i32, flags: u32) -> Result<()> {
        if !cqueue::more(flags) {
            let admission = &mut self.accepting.admission;
            admission.accept_ended();
            if !admission.is_armed() {
                admission.cancel_ended(); // if there was one: it leaves nothing armed
            }
        }
        if result < 0 {
            return self.accept_failed(-result);
        }
        let slot = result as u32;
        self.slots.occupy(slot);
        self.connections[slot as usize].begin();
        // The accept was cancelled, and this client came first. It is served like the others,
        // unless there are enough of them, or the grace after a stop signal is over.
        if self.accepting.max == Some(self.counts.connections) || self.is_too_late() {
            return self.close(slot);
        }
        // ANCHOR: capacity
        self.counts.connections += 1;
        if self.accepting.max == Some(self.counts.connections) {
            self.stop_accepting();
        }
        let served = self.slots.held() - self.accepting.waiting.len() as u32;
        if served > self.accepting.capacity && !self.stopping.signalled {
            self.accepting.waiting.push_back(slot);
            return Ok(());
        }
        self.open(slot)
        // ANCHOR_END: capacity
    }

    /// A client is served from here on: its first request may come.
    pub fn open(&mut self, slot: u32) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Open;
        self.note_progress(slot);
        self.receive_next(slot)
    }

    fn accept_failed(&mut self, errno: i32) -> Result<()> {
        let error = io::Error::from_raw_os_error(errno);
        match errno {
            libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN => Ok(()),
            libc::EINVAL if self.counts.connections == 0 => {
                Err(error).context("accepting into a slot, which needs Linux 5.19")
            }
            // The system is out of memory or files, or the network is down. It passes.
            _ => {
                self.accepting.admission.rest();
                self.report(&Event::AcceptFailed { error: error.to_string() });
                Ok(())
            }
        }
    }

    /// Cancels every operation with this token. Each of them completes, so the cancel itself
    /// need not.
    pub fn add_cancel(&mut self, token: Token) -> Result<()> {
        let which = CancelBuilder::user_data(token.pack()).all();
        let cancel = opcode::AsyncCancel2::new(which).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(Token::of(Op::Cancel), cancel)
    }
}
