//! A buffer group, by hand: what `IORING_REGISTER_PBUF_RING` is about.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;

use super::Pages;

/// A ring of buffers, in the first page, and the memory of the buffers, the second one.
pub struct Group {
    memory: &'static mut Pages<2>,
    tail: u16,
}

impl Group {
    /// Memory for both, of which no group knows yet.
    pub fn new() -> Group {
        Group { memory: common::memory::forever(Pages([[0; 4096]; 2])), tail: 0 }
    }

    /// Registers the first page as the ring of buffer group `group`.
    pub fn register(
        &mut self,
        ring: &IoUring,
        group: u16,
        entries: u16,
        flags: u16,
    ) -> io::Result<()> {
        let address = self.memory.0[0].as_mut_ptr() as u64;
        // SAFETY: the memory is never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, entries, group, flags) }
    }

    /// Another ring of buffers has this memory now: it begins at 0.
    pub fn restart(&mut self) {
        self.tail = 0;
        self.memory.0[0][14..16].fill(0);
    }

    /// Puts the whole second page into the ring, as the buffer with this number.
    pub fn provide(&mut self, number: u16) {
        self.provide_part(number, 0, 4096);
    }

    /// Puts a part of it into the ring, as the buffer with this number.
    pub fn provide_part(&mut self, number: u16, start: usize, length: usize) {
        let part = &mut self.memory.0[1][start..start + length];
        let (address, length) = (part.as_mut_ptr() as u64, length as u32);
        let at = usize::from(self.tail % 4) * 16;
        let entry = &mut self.memory.0[0][at..at + 14];
        entry[..8].copy_from_slice(&address.to_ne_bytes());
        entry[8..12].copy_from_slice(&length.to_ne_bytes());
        entry[12..].copy_from_slice(&number.to_ne_bytes());
        self.tail += 1;
        // The tail lies in the last two bytes of the first entry.
        let tail = (&raw mut self.memory.0[0][14]).cast::<u16>();
        // SAFETY: aligned, inside the page, and read by the kernel as another thread would.
        unsafe { AtomicU16::from_ptr(tail) }.store(self.tail, Ordering::Release);
    }

    /// The first bytes of the page. The kernel writes to it only while a receive is under way.
    pub fn bytes(&self, length: usize) -> &[u8] {
        &self.memory.0[1][..length]
    }
}
