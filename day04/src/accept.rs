//! Letting clients in: as on day 03, and then straight to the first receive.

use std::io;

use anyhow::{Context, Result};
use common::slots::{Step, Way};
use common::token::{Op, Token};
use io_uring::opcode;
use io_uring::types::{CancelBuilder, DestinationSlot, Fd};
use serde_json::json;

use crate::connection::{Connection, Stage};
use crate::server::{NO_SLOT, Server};

impl Server<'_> {
    // ANCHOR: admit
    /// Arms the accept if it is not armed, in the way that suits the free slots.
    pub fn admit(&mut self) -> Result<()> {
        let token = Token::of(Op::Accept);
        let before = self.admission.way();
        loop {
            match self.admission.step(self.slots.held()) {
                Step::ArmMultishot => {
                    let accept = opcode::AcceptMulti::new(Fd(self.listener.fd()))
                        .allocate_file_index(true)
                        .build();
                    self.push(accept, token)?;
                }
                Step::ArmSingle => {
                    let null = std::ptr::null_mut();
                    let accept = opcode::Accept::new(Fd(self.listener.fd()), null, null.cast())
                        .file_index(Some(DestinationSlot::auto_target()))
                        .build();
                    self.push(accept, token)?;
                }
                Step::Cancel => {
                    let which = CancelBuilder::user_data(token.pack()).all();
                    let cancel = opcode::AsyncCancel2::new(which).build();
                    self.push(cancel, Token::on(Op::Cancel, NO_SLOT, 0))?;
                }
                Step::Wait => break,
            }
        }
        if self.admission.way() != before {
            self.say_way();
        }
        Ok(())
    }
    // ANCHOR_END: admit

    /// A client, or the news that the accept has ended. Both may come in one completion.
    pub fn accepted(&mut self, result: i32, more: bool) -> Result<()> {
        if !more {
            self.admission.accept_ended();
        }
        if result < 0 {
            return self.accept_failed(-result);
        }
        let slot = result as u32;
        self.slots.occupy(slot);
        self.connections[slot as usize] = Connection::default();
        // It came while the accept was being cancelled. After a stop signal it counts as one who
        // was in, unless it is too late even for those.
        let too_late = self.cut_off && self.grace.is_none();
        if too_late || self.limits.max == Some(self.counts.connections) {
            return self.close(slot);
        }
        self.counts.connections += 1;
        if self.limits.max == Some(self.counts.connections) {
            self.admission.close();
            self.stopping = true;
        }
        let full = self.slots.held() - self.waiting.len() as u32 > self.limits.capacity;
        if full && !self.cut_off {
            self.waiting.push_back(slot);
            return Ok(());
        }
        self.open(slot)
    }

    /// A client has a slot of its own: its first request may come.
    pub fn open(&mut self, slot: u32) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Open;
        self.idle.touch(slot, self.now);
        self.receive(slot)
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
                self.admission.rest();
                self.talk.detail(
                    format_args!("an accept failed, and is armed anew in a moment: {error}"),
                    json!({"event": "accept failed", "error": error.to_string()}),
                );
                Ok(())
            }
        }
    }

    fn say_way(&mut self) {
        let waiting = self.waiting.len() as u32;
        let held = self.slots.held() - waiting;
        let way = self.admission.way();
        let why = match way {
            Way::Multishot => "slots are free again: back to one multishot accept",
            Way::OneByOne => "almost full: one single accept for each free slot",
        };
        self.talk.detail(
            format_args!("{why} ({held} of {} taken, {waiting} waiting)", self.limits.capacity),
            json!({"event": "accepting", "way": way.name(), "held": held, "waiting": waiting}),
        );
    }
}
