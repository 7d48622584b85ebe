//! The loop: accepts clients, reads their requests, and sends part after part.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Context, Result, bail};
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::Entry;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};
use nix::errno::Errno;

use super::costs::Costs;
use super::request::reply;
use super::slot::Slot;
use super::{ACCEPT, BUFFERS, CLIENTS, FILL, HEAD, PART, REQUEST, SEND, TEXT, Way, user_data};

/// `IORING_NOTIF_USAGE_ZC_COPIED`, the highest bit of a notification's result.
const COPIED: i32 = i32::MIN;

pub struct Server {
    ring: IoUring,
    by: Way,
    folder: File,
    pub listener: TcpListener,
    accepting: bool,
    accepted: u64,
    slots: Vec<Slot>,
    pub costs: Costs,
}

impl Server {
    pub fn new(by: Way, folder: &Path, listen: &str) -> Result<Server> {
        let name = folder.display();
        let folder = File::open(folder).with_context(|| name.to_string())?;
        if !folder.metadata()?.is_dir() {
            bail!("{name} is no folder; to send one file by each way, add --compare");
        }
        let listener = TcpListener::bind(listen).with_context(|| format!("listen on {listen}"))?;
        let ring = ring::build_best(&RingOptions::default(), 256)?.0;
        let bytes = CLIENTS * BUFFERS * PART;
        let memory = forever(vec![0_u8; bytes]).as_mut_ptr();
        if by == Way::Fixed {
            let all = libc::iovec { iov_base: memory.cast(), iov_len: bytes };
            // SAFETY: the memory is never freed.
            unsafe { ring.submitter().register_buffers(&[all]) }.map_err(|error| {
                environment::explain_memory("IORING_REGISTER_BUFFERS", &error, bytes as u64)
            })?;
        }
        let slot =
            |nth: usize| Slot::new(&ring, by, nth, memory.wrapping_add(nth * BUFFERS * PART));
        let slots = (0..CLIENTS).map(slot).collect::<Result<_>>()?;
        let (accepting, accepted, costs) = (false, 0, Costs::default());
        Ok(Server { ring, by, folder, listener, accepting, accepted, slots, costs })
    }

    pub fn serve(&mut self, replies: Option<u64>) -> Result<()> {
        loop {
            let clients = self.slots.iter().filter(|slot| slot.socket.is_some()).count();
            let more = replies.is_none_or(|replies| self.accepted < replies);
            if clients == 0 && !more {
                return Ok(());
            }
            if clients < CLIENTS && more && !self.accepting {
                self.accepting = true;
                let listener = Fd(self.listener.as_raw_fd());
                let accept = opcode::Accept::new(listener, null_mut(), null_mut()).build();
                self.push(&[accept.user_data(user_data(ACCEPT, 0, 0))])?;
            }
            self.costs.enters += 1;
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            while let Some(completion) = self.next_completion() {
                self.costs.completions += 1;
                self.handle(&completion)?;
            }
        }
    }

    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    /// There is always room: a slot has at most one chain in a turn.
    fn push(&mut self, entries: &[Entry]) -> Result<()> {
        self.costs.entries += entries.len() as u64;
        // SAFETY: the entries point at texts and buffers, which are never freed. Nobody uses a
        // text before the result, or a buffer before it is in `free` again.
        Ok(unsafe { self.ring.submission().push_multiple(entries) }?)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let (user_data, flags) = (completion.user_data(), completion.flags());
        let (slot, buffer) = ((user_data >> 16) as u16 as usize, user_data as u16 as usize);
        let result = completion.result();
        if user_data >> 32 == ACCEPT {
            return self.handle_accept(result);
        }
        if cqueue::notif(flags) {
            self.handle_notification(slot, buffer, result);
            return self.go_on(slot);
        }
        let it = &mut self.slots[slot];
        it.running -= 1;
        if result < 0 && result != -libc::ECANCELED {
            it.failed = true;
            self.costs.error = Some(Errno::from_raw(-result));
        }
        match user_data >> 32 {
            REQUEST => self.handle_request(slot, bytes(result))?,
            FILL => it.filled += bytes(result),
            SEND => self.handle_send(slot, buffer, result, flags),
            _ => {} // HEAD
        }
        self.go_on(slot)
    }

    // ANCHOR: send
    fn handle_send(&mut self, slot: usize, buffer: usize, result: i32, flags: u32) {
        let it = &mut self.slots[slot];
        it.sent += bytes(result);
        // With MORE, a notification follows: until then the kernel may read the buffer. One also
        // follows, without MORE, where a broken link has cancelled a SEND_ZC.
        let zero_copy = matches!(self.by, Way::Zc | Way::Fixed);
        let follows = cqueue::more(flags) || zero_copy && result == -libc::ECANCELED;
        if !follows {
            it.free_again(self.by, buffer);
        }
    }

    fn handle_notification(&mut self, slot: usize, buffer: usize, result: i32) {
        self.slots[slot].free.push(buffer);
        self.costs.notifications += 1;
        self.costs.copied += u64::from(result == COPIED);
    }
    // ANCHOR_END: send

    fn handle_accept(&mut self, result: i32) -> Result<()> {
        self.accepting = false;
        match result {
            0.. => {
                let free = self.slots.iter().position(|slot| slot.socket.is_none());
                let slot = free.context("an accept without a free slot")?;
                self.accepted += 1;
                // SAFETY: the accept has made this descriptor, which has no other owner.
                self.slots[slot].socket = Some(unsafe { OwnedFd::from_raw_fd(result) });
                self.add_request(slot)
            }
            _ if result == -libc::ECONNABORTED => Ok(()),
            _ => Err(io::Error::from_raw_os_error(-result)).context("ACCEPT"),
        }
    }

    fn add_request(&mut self, slot: usize) -> Result<()> {
        let it = &mut self.slots[slot];
        it.running = 1;
        let socket = it.socket();
        let room = &mut it.text[it.text_len..];
        let recv = opcode::Recv::new(socket, room.as_mut_ptr(), room.len() as u32).build();
        self.push(&[recv.user_data(user_data(REQUEST, slot, 0))])
    }

    fn handle_request(&mut self, slot: usize, bytes: usize) -> Result<()> {
        let it = &mut self.slots[slot];
        it.text_len += bytes;
        match reply(&self.folder, &it.text[..it.text_len]) {
            None if bytes == 0 || it.text_len == TEXT => it.failed = true,
            None => return self.add_request(slot),
            Some((head, file, length)) => {
                it.text[..head.len()].copy_from_slice(head.as_bytes());
                let more = if file.is_some() { libc::MSG_MORE } else { 0 };
                (it.file, it.length) = (file, length);
                let send = opcode::Send::new(it.socket(), it.text.as_ptr(), head.len() as u32);
                let send = send.flags(more | libc::MSG_WAITALL).build();
                it.running = 1;
                return self.push(&[send.user_data(user_data(HEAD, slot, 0))]);
            }
        }
        Ok(())
    }

    /// What comes next, when all results of a slot are there.
    fn go_on(&mut self, slot: usize) -> Result<()> {
        let it = &mut self.slots[slot];
        if it.running > 0 {
            return Ok(());
        }
        if it.sent == it.asked {
            it.offset += it.asked as u64;
            (it.asked, it.filled, it.sent) = (0, 0, 0);
        } else if it.pipe.is_some() && it.filled > it.sent && !it.failed {
            let rest = it.rest()?; // A small pipe took less.
            return self.push(&[rest]);
        } else {
            it.failed = true; // The file has become shorter, or there was an error.
        }
        if !it.failed && it.offset < it.length {
            let Some(part) = it.part(self.by)? else { return Ok(()) };
            let with_kernel = self.slots.iter().map(|slot| BUFFERS - slot.free.len()).sum();
            self.costs.buffers = self.costs.buffers.max(with_kernel);
            return self.push(&part);
        }
        if it.free.len() == BUFFERS {
            self.close(slot)?;
        }
        Ok(())
    }

    /// Nothing of the slot is in flight: the next client can have it.
    fn close(&mut self, slot: usize) -> Result<()> {
        let it = &mut self.slots[slot];
        self.costs.replies += u64::from(!it.failed);
        self.costs.failed += u64::from(it.failed);
        if it.failed {
            // What a broken chain left in them is not for the next client.
            it.pipe = None;
            if let Some(group) = &mut it.group {
                group.empty(&self.ring.submitter())?;
            }
        }
        it.clear();
        Ok(())
    }
}

/// The bytes of a result: 0 if it is an error.
fn bytes(result: i32) -> usize {
    usize::try_from(result).unwrap_or(0)
}
