//! A ring of provided buffers (`io_uring_register_buf_ring(3)`, Linux 5.19).
//!
//! A receive that brings its own buffer ties that memory up while the client is silent.
//! With a provided-buffer ring the kernel takes a buffer when data has come, so a few
//! buffers serve many idle connections. The completion tells which one it took.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::environment::{self, Refusal};

/// Buffers that the kernel fills, and the ring through which they go back to it.
#[derive(Debug)]
pub struct Buffers {
    ring: Mapping,
    memory: Mapping,
    size: u32,
    group: u16,
    tail: u16,
    /// Which buffers are ours now; the kernel may write to the others at any moment.
    ours: Vec<bool>,
    with_kernel: u16,
}

/// Most buffers a group can hold.
pub const MAX_BUFFERS: u16 = 32768;

impl Buffers {
    /// Registers `count` buffers (a power of two, at most [`MAX_BUFFERS`]) of `size` bytes
    /// each as buffer group `group`, and hands all of them to the kernel.
    ///
    /// # Errors
    /// A [`Refusal`] if the kernel is older than 5.19 or has no memory for them.
    pub fn register(
        submitter: &Submitter<'_>,
        group: u16,
        count: u16,
        size: u32,
    ) -> Result<Buffers> {
        assert!(count.is_power_of_two() && count <= MAX_BUFFERS, "{count} buffers");
        let ring = Mapping::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let bytes = usize::from(count) * size as usize;
        let memory = Mapping::new(bytes).map_err(|error| Refusal {
            what: format!("no memory for {count} buffers of {size} bytes: {error:#}"),
            why: format!("that is {} MiB, more than this process may have", bytes >> 20),
            remedy: "fewer --buffers, or a smaller --buffer-size".to_string(),
        })?;
        // SAFETY: the mapping is page-aligned and holds `count` entries. It lives as long as
        // `Buffers`, which its owner keeps until the ring is dropped or drained; `Drop`
        // says more.
        unsafe {
            submitter.register_buf_ring_with_flags(ring.address.as_ptr() as u64, count, group, 0)
        }
        .map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => Refusal {
                what: "the kernel refused a provided-buffer ring: EINVAL".to_string(),
                why: format!(
                    "provided-buffer rings came with Linux 5.19; this is {}",
                    environment::kernel_release()
                ),
                remedy: "a kernel of 5.19 or later; day01 and day02 run on older ones".to_string(),
            },
            _ => environment::explain("IORING_REGISTER_PBUF_RING", &error),
        })?;
        let mut buffers = Buffers {
            ring,
            memory,
            size,
            group,
            tail: 0,
            ours: vec![true; usize::from(count)],
            with_kernel: 0,
        };
        for id in 0..count {
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// The buffer group that a receive names (`buf_group`).
    pub fn group(&self) -> u16 {
        self.group
    }

    /// Bytes in a buffer.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How many buffers there are.
    pub fn count(&self) -> u16 {
        self.ours.len() as u16
    }

    /// Buffers that the kernel can still take.
    pub fn with_kernel(&self) -> u16 {
        self.with_kernel
    }

    /// A completion says that the kernel filled buffer `id`: it is ours until it is given
    /// back.
    ///
    /// # Panics
    /// If it was ours already: two owners of one buffer would overwrite each other.
    pub fn take(&mut self, id: u16) {
        let ours = &mut self.ours[usize::from(id)];
        assert!(!*ours, "buffer {id} completed twice");
        *ours = true;
        self.with_kernel -= 1;
    }

    /// The first `len` bytes of a buffer that is ours.
    ///
    /// # Panics
    /// If the buffer is the kernel's, or shorter.
    pub fn bytes(&self, id: u16, len: u32) -> &[u8] {
        assert!(self.ours[usize::from(id)], "buffer {id} belongs to the kernel");
        assert!(len <= self.size, "{len} bytes of a buffer of {}", self.size);
        // SAFETY: the range lies within `memory` (asserted above), which is mapped and
        // initialised (zeroes from mmap, or what the kernel wrote). The buffer is ours, so
        // the kernel does not write to it until `give_back`, which needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.address(id), len as usize) }
    }

    /// Where a buffer starts, for an operation that reads from it.
    pub fn address(&self, id: u16) -> *const u8 {
        assert!(usize::from(id) < self.ours.len(), "no buffer {id}");
        // SAFETY: `id` is below the count, so the offset stays inside the mapping.
        unsafe { self.memory.address.as_ptr().add(usize::from(id) * self.size as usize) }
    }

    /// Hands a buffer back to the kernel. Nothing may read it any more: neither a slice nor
    /// a send that has not completed.
    ///
    /// # Panics
    /// If the kernel has it already.
    pub fn give_back(&mut self, id: u16) {
        let address = self.address(id) as u64;
        let ours = &mut self.ours[usize::from(id)];
        assert!(std::mem::take(ours), "buffer {id} given back twice");
        let mask = self.ours.len() as u16 - 1;
        let entries = self.ring.address.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is masked to the ring's size. The kernel reads entries only up
        // to the tail, and this one lies beyond it until the store below. The entry's first
        // 14 bytes are written; the last two of entry 0 are the tail itself.
        unsafe {
            let entry = &mut *entries.add(usize::from(self.tail & mask));
            entry.set_addr(address);
            entry.set_len(self.size);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        self.with_kernel += 1;
        // SAFETY: `BufRingEntry::tail` points at the tail in entry 0, aligned to two bytes,
        // alive as long as the mapping. Release: the entry is written before it is published.
        unsafe {
            let tail = BufRingEntry::tail(entries).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

/// Memory from `mmap(2)`: page-aligned, zeroed, and taken from the system only when touched.
///
/// Unmapped on drop. By then the kernel must not use it: its owner drops it after the ring,
/// or after every operation that could use it has completed.
#[derive(Debug)]
struct Mapping {
    address: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> Result<Mapping> {
        let len = NonZeroUsize::new(len).context("a mapping of no bytes")?;
        // SAFETY: a fresh anonymous mapping at an address the kernel chooses overlaps nothing.
        let address = unsafe {
            mmap_anonymous(
                None,
                len,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE,
            )
        }
        .context("mmap")?;
        Ok(Mapping { address: address.cast(), len: len.get() })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, unmapped once. Pages that an operation
        // still in flight has pinned stay alive in the kernel; our addresses are gone with
        // `self`. A munmap of a whole mapping does not fail.
        let _ = unsafe { munmap(self.address.cast(), self.len) };
    }
}
