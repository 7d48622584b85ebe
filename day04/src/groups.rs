//! The buffers that the clients share, in two groups.
//!
//! A single receive takes one buffer. A client that has its share gets no further receive, so the
//! group of the single receives always has buffers for others.
//!
//! A multishot saves an entry for each message, but it takes a buffer for whatever arrives, dozens
//! before the program sees the first. So it has a separate group. If clients empty that group, all
//! go on with single receives.

use anyhow::Result;
use common::buffers::Buffers;
use common::token::Op;
use io_uring::{Submitter, cqueue};

/// A client's share of the single buffers is a 64th, at most this.
pub const MAX_SHARE: usize = 8;

/// The two groups.
pub struct Groups {
    pub single: Buffers,
    pub multishot: Buffers,
    /// The kernel has refused a multishot receive: it is older than 6.0.
    pub refused: bool,
}

/// A buffer with bytes of a client. It belongs to the program until it is given back.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// The receive that filled it: `Recv` or `RecvMulti`.
    receive: Op,
    id: u16,
    pub length: u32,
}

impl Groups {
    // ANCHOR: register
    /// Registers two groups of `count` buffers of `size` bytes each.
    pub fn register(submitter: &Submitter<'_>, count: u16, size: u32) -> Result<Groups> {
        let single = Buffers::register(submitter, 0, count, size)?;
        let multishot = Buffers::register(submitter, 1, count, size)?;
        Ok(Groups { single, multishot, refused: false })
    }
    // ANCHOR_END: register

    /// Replies that a client may leave unread before nothing more is received from it.
    pub fn share(&self) -> usize {
        usize::from(self.single.count() / 64).clamp(1, MAX_SHARE)
    }

    /// Whether there are buffers for one more multishot.
    pub fn allow_multishot(&self) -> bool {
        !self.refused && self.multishot.with_kernel() > self.multishot.count() / 2
    }

    /// The buffer that a completion of `receive` brings, if it brings one.
    pub fn take(&mut self, receive: Op, result: i32, flags: u32) -> Option<Filled> {
        let id = cqueue::buffer_select(flags)?;
        let filled = Filled { receive, id, length: result.max(0) as u32 };
        self.of(filled).take(id);
        Some(filled)
    }

    /// The address of its bytes.
    pub fn address(&mut self, filled: Filled) -> *const u8 {
        self.of(filled).address(filled.id)
    }

    /// A copy of its bytes.
    pub fn copy(&mut self, filled: Filled) -> Vec<u8> {
        self.of(filled).copy(filled.id, filled.length)
    }

    /// Gives it back to the kernel.
    pub fn give_back(&mut self, filled: Filled) {
        self.of(filled).give_back(filled.id);
    }

    fn of(&mut self, filled: Filled) -> &mut Buffers {
        if filled.receive == Op::RecvMulti { &mut self.multishot } else { &mut self.single }
    }
}
