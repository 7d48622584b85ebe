//! A place for a client, and how the next part of its file is sent.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use common::catalog::SEND_RECV_FLAGS;
use common::memory::forever;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::buffer_group::BufferGroup;
use super::{BUFFERS, FILL, PART, SEND, TEXT, Way, user_data};

const WAITALL: i32 = libc::MSG_WAITALL;
const REPORT_USAGE: u16 = SEND_RECV_FLAGS.code("SEND_ZC_REPORT_USAGE") as u16;

pub struct Slot {
    number: usize,
    pub socket: Option<OwnedFd>,
    /// The request, and after it the head of the reply.
    pub text: &'static mut [u8; TEXT],
    pub text_len: usize,
    pub file: Option<File>,
    /// Where the part under way begins, and where the file ends.
    pub offset: u64,
    pub length: u64,
    /// Bytes of the part: asked for, come from the file, sent.
    pub asked: usize,
    pub filled: usize,
    pub sent: usize,
    /// Entries whose result has not come.
    pub running: usize,
    /// The buffers that belong to the program. The kernel may still read from the others.
    pub free: Vec<usize>,
    /// All four, side by side.
    memory: *mut u8,
    pub failed: bool,
    /// By SPLICE only: where bytes come out, and where they go in.
    pub pipe: Option<(OwnedFd, OwnedFd)>,
    /// By BUNDLE only: the group with the slot's number.
    pub group: Option<BufferGroup>,
}

impl Slot {
    pub fn new(ring: &IoUring, by: Way, number: usize, memory: *mut u8) -> Result<Slot> {
        let group = (by == Way::Bundle)
            .then(|| BufferGroup::register(&ring.submitter(), number as u16, BUFFERS as u16, 0))
            .transpose()
            .context("a buffer ring (Linux 5.19)")?;
        Ok(Slot {
            number,
            socket: None,
            text: forever([0; TEXT]),
            text_len: 0,
            file: None,
            offset: 0,
            length: 0,
            asked: 0,
            filled: 0,
            sent: 0,
            running: 0,
            free: (0..BUFFERS).collect(),
            memory,
            failed: false,
            pipe: None,
            group,
        })
    }

    /// The next part, as a chain: its last entry sends what the others have brought. `None` if no
    /// buffer is free: a notification will bring one.
    pub fn part(&mut self, by: Way) -> Result<Option<Vec<Entry>>> {
        let needed = match by {
            Way::Splice => 0,
            Way::Bundle => BUFFERS,
            _ => 1,
        };
        let Some(others) = self.free.len().checked_sub(needed) else { return Ok(None) };
        let buffer = self.free.split_off(others).first().copied().unwrap_or(0);
        self.asked = (self.length - self.offset).min((needed.max(1) * PART) as u64) as usize;

        // ANCHOR: ways
        let (file, socket, offset) = (self.file(), self.socket(), self.offset);
        let (at, len) = (self.memory.wrapping_add(buffer * PART), self.asked as u32);
        let read = opcode::Read::new(file, at, len).offset(offset).build();
        let send_zc = opcode::SendZc::new(socket, at, len).flags(WAITALL).zc_flags(REPORT_USAGE);
        let mut part = match by {
            Way::ReadSend => {
                vec![read, opcode::Send::new(socket, at, len).flags(WAITALL).build()]
            }
            Way::Zc => vec![read, send_zc.build()],
            Way::Fixed => {
                let read = opcode::ReadFixed::new(file, at, len, 0).offset(offset);
                vec![read.build(), send_zc.buf_index(Some(0)).build()]
            }
            Way::Splice => {
                let (from, into) = self.pipe()?;
                let fill = opcode::Splice::new(file, offset as i64, into, -1, len);
                vec![fill.build(), opcode::Splice::new(from, -1, socket, -1, len).build()]
            }
            Way::Bundle => self.bundle(),
        };
        // ANCHOR_END: ways
        let (send, fill) = part.split_last_mut().expect("at least two entries");
        for entry in fill {
            let user_data = user_data(FILL, self.number, buffer);
            *entry = entry.clone().flags(Flags::IO_LINK).user_data(user_data);
        }
        *send = send.clone().user_data(user_data(SEND, self.number, buffer));
        self.running = part.len();
        Ok(Some(part))
    }

    // ANCHOR: bundle
    /// READs into all buffers, and a SEND of what the group has.
    fn bundle(&mut self) -> Vec<Entry> {
        let mut part = Vec::new();
        for (buffer, begin) in (0..self.asked).step_by(PART).enumerate() {
            let at = self.memory.wrapping_add(begin);
            let len = (self.asked - begin).min(PART) as u32;
            let read = opcode::Read::new(self.file(), at, len);
            part.push(read.offset(self.offset + begin as u64).build());
            let group = self.group.as_mut().expect("registered at the start");
            // SAFETY: the memory is never freed, all buffers are this part's, and the group was
            // empty. The SEND takes them when the READs before it are done.
            unsafe { group.provide(buffer as u16, at, len) };
        }
        part.push(opcode::SendBundle::new(self.socket(), self.number as u16).build());
        part
    }
    // ANCHOR_END: bundle

    /// What the pipe has, to the socket.
    pub fn rest(&mut self) -> Result<Entry> {
        self.asked = self.filled;
        self.running = 1;
        let (from, rest) = (self.pipe()?.0, (self.filled - self.sent) as u32);
        let send = opcode::Splice::new(from, -1, self.socket(), -1, rest).build();
        Ok(send.user_data(user_data(SEND, self.number, 0)))
    }

    /// The program may use again what a part has used.
    pub fn free_again(&mut self, by: Way, buffer: usize) {
        match by {
            Way::Splice => {}
            Way::Bundle => self.free = (0..BUFFERS).collect(),
            _ => self.free.push(buffer),
        }
    }

    /// Forgets the client. That closes its socket and its file.
    pub fn clear(&mut self) {
        (self.socket, self.file) = (None, None);
        (self.text_len, self.offset, self.length) = (0, 0, 0);
        (self.asked, self.filled, self.sent, self.failed) = (0, 0, 0, false);
    }

    pub fn socket(&self) -> Fd {
        Fd(self.socket.as_ref().expect("a client is here").as_raw_fd())
    }

    fn file(&self) -> Fd {
        Fd(self.file.as_ref().expect("a file is being sent").as_raw_fd())
    }

    fn pipe(&mut self) -> Result<(Fd, Fd)> {
        if self.pipe.is_none() {
            self.pipe = Some(pipe2(OFlag::O_CLOEXEC).context("a pipe")?);
        }
        let (from, into) = self.pipe.as_ref().expect("made just now");
        Ok((Fd(from.as_raw_fd()), Fd(into.as_raw_fd())))
    }
}
