//! A group of provided buffers that the kernel takes from a ring.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue, squeue};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use crate::Answer;

/// Provided buffers, to receive into or to send from (`io_uring_register_buf_ring(3)`, 5.19).
///
/// As in [`common::buffers`], the memory is never freed, and no slice refers to it.
#[derive(Debug)]
pub struct BufferRing {
    entries: *mut BufRingEntry,
    memory: &'static [AtomicU8],
    count: u16,
    size: u32,
    tail: u16,
}

impl BufferRing {
    /// Registers `count` buffers (a power of two) of `size` bytes as group `group`, with the
    /// `IOU_PBUF_RING_*` flags. The kernel has none of them before [`BufferRing::provide`].
    ///
    /// # Errors
    /// The kernel's: EINVAL for a flag that it does not know.
    pub fn register<S: squeue::EntryMarker, C: cqueue::EntryMarker>(
        ring: &IoUring<S, C>,
        group: u16,
        count: u16,
        size: u32,
        flags: u16,
    ) -> io::Result<BufferRing> {
        let entries = map(usize::from(count) * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        let len = usize::from(count) * size as usize;
        // SAFETY: `map` returns that many bytes of zeros, which are never unmapped, and we use them
        // as atomics only.
        let memory = unsafe { std::slice::from_raw_parts(map(len)?.cast(), len) };
        let submitter = ring.submitter();
        // SAFETY: the entries are page-aligned, as many as we say, and never unmapped.
        unsafe { submitter.register_buf_ring_with_flags(entries as u64, count, group, flags) }?;
        Ok(BufferRing { entries, memory, count, size, tail: 0 })
    }

    /// Gives a whole buffer to the kernel.
    ///
    /// # Panics
    /// If there is no such buffer.
    pub fn provide(&mut self, id: u16) {
        self.provide_part(id, self.size);
    }

    /// Writes `bytes` into a buffer and gives these to the kernel, to be sent.
    ///
    /// # Panics
    /// If there is no such buffer, or it is shorter.
    pub fn provide_bytes(&mut self, id: u16, bytes: &[u8]) {
        for (to, from) in self.buffer(id)[..bytes.len()].iter().zip(bytes) {
            to.store(*from, Ordering::Relaxed);
        }
        self.provide_part(id, bytes.len() as u32);
    }

    /// A copy of the first `len` bytes of a buffer.
    ///
    /// # Panics
    /// If there is no such buffer, or it is shorter.
    pub fn bytes(&self, id: u16, len: usize) -> Vec<u8> {
        self.buffer(id)[..len].iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    /// The received bytes of a completion: its result says how many, at the start of the buffer
    /// that it names.
    ///
    /// # Panics
    /// If it is an error, or names no buffer of this group.
    pub fn received(&self, answer: &Answer) -> Vec<u8> {
        let id = answer.buffer().expect("a completion with a buffer");
        self.bytes(id, usize::try_from(answer.result).expect("a completion with bytes"))
    }

    fn buffer(&self, id: u16) -> &'static [AtomicU8] {
        let size = self.size as usize;
        &self.memory[usize::from(id) * size..][..size]
    }

    fn provide_part(&mut self, id: u16, len: u32) {
        let address = self.buffer(id).as_ptr() as u64;
        let at = usize::from(self.tail & (self.count - 1));
        // SAFETY: the index is below `count`. The kernel reads entries only up to the tail, and
        // this one lies beyond it until the store below.
        unsafe {
            let entry = &mut *self.entries.add(at);
            entry.set_addr(address);
            entry.set_len(len);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `BufRingEntry::tail` points into entry 0, aligned and never unmapped; the kernel
        // only reads it. Release: the entry is written before it is published.
        unsafe {
            let tail = BufRingEntry::tail(self.entries).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

/// Zeroed memory for the rest of the process's life.
fn map(len: usize) -> io::Result<*mut u8> {
    let len = NonZeroUsize::new(len).expect("buffers of some bytes");
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh anonymous mapping at an address the kernel chooses overlaps nothing.
    let memory = unsafe { mmap_anonymous(None, len, access, MapFlags::MAP_PRIVATE) }?;
    Ok(memory.cast().as_ptr())
}
