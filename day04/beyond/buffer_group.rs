//! A ring of provided buffers whose memory the program chooses, buffer by buffer. `common::buffers`
//! has one whose buffers are all alike.

use std::io::Result;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// A buffer group, and where the program adds to it.
pub struct BufferGroup {
    entries: *mut BufRingEntry,
    group: u16,
    count: u16,
    flags: u16,
    tail: u16,
}

impl BufferGroup {
    /// Registers an empty group of up to `count` buffers, a power of two (5.19). `flags` are
    /// `IOU_PBUF_RING_*`.
    pub fn register(
        submitter: &Submitter<'_>,
        group: u16,
        count: u16,
        flags: u16,
    ) -> Result<BufferGroup> {
        let bytes = NonZeroUsize::new(usize::from(count) * size_of::<BufRingEntry>());
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let bytes = bytes.expect("more than no buffers");
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let entries = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE) }?;
        let entries = entries.as_ptr().cast();
        let group = BufferGroup { entries, group, count, flags, tail: 0 };
        group.hand_over(submitter)?;
        Ok(group)
    }

    fn hand_over(&self, submitter: &Submitter<'_>) -> Result<()> {
        let (address, count) = (self.entries as u64, self.count);
        // SAFETY: page-aligned memory for `count` entries, which is never unmapped.
        unsafe { submitter.register_buf_ring_with_flags(address, count, self.group, self.flags) }
    }

    /// Takes back what the kernel has not used.
    pub fn empty(&mut self, submitter: &Submitter<'_>) -> Result<()> {
        submitter.unregister_buf_ring(self.group)?;
        self.tail = 0;
        self.publish();
        self.hand_over(submitter)
    }

    fn publish(&self) {
        // SAFETY: the tail lies in spare bytes of the first entry, and the kernel only reads it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// Adds a buffer as the last one: the kernel takes them in this order.
    ///
    /// # Safety
    /// The memory must stay valid and unused until a completion says that the kernel is done with
    /// it. There must be room: at most `count` buffers are in the group.
    pub unsafe fn provide(&mut self, id: u16, address: *const u8, len: u32) {
        // SAFETY: the index is masked to the size of the ring. The kernel reads the entry only
        // after the tail has moved.
        unsafe {
            let entry = &mut *self.entries.add(usize::from(self.tail & (self.count - 1)));
            entry.set_addr(address as u64);
            entry.set_len(len);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        self.publish();
    }
}
