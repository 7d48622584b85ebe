//! A ring of provided buffers (`io_uring_register_buf_ring(3)`, Linux 5.19).
//!
//! A receive with its own buffer occupies that memory while the client is silent. With a
//! provided-buffer ring a waiting receive holds no buffer: a few buffers serve many idle
//! connections. The completion names the buffer that the kernel took.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use anyhow::{Context, Result};
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use crate::environment::{self, Refusal};
use crate::ring::whole_pages;

/// Buffers that the kernel fills, and the ring through which they go back to it.
///
/// The completions say which buffers belong to the kernel, and a program can get that wrong. Two
/// rules limit the damage to wrong bytes: the memory is never freed (see
/// [`crate::memory`]), and there is no `&[u8]` into it, only copies and addresses.
pub struct Buffers {
    /// The ring's entries, as many as there are buffers.
    ring: NonNull<BufRingEntry>,
    /// Atomics, because the kernel writes here as another thread would.
    memory: &'static [AtomicU8],
    size: u32,
    group: u16,
    tail: u16,
    /// Which buffers belong to the program now; the kernel may write to the others at any moment.
    ours: Vec<bool>,
    with_kernel: u16,
}

/// Most buffers a group can hold.
pub const MAX_BUFFERS: u16 = 32768;

impl Buffers {
    /// Registers `count` buffers (a power of two, at most [`MAX_BUFFERS`]) of `size` bytes
    /// each as buffer group `group`, and gives all of them to the kernel.
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
        let entries = u64::from(count) * size_of::<BufRingEntry>() as u64;
        let ring = map(entries)?;
        // The kernel counts the ring of entries against RLIMIT_MEMLOCK, not the buffers.
        let locked = whole_pages(entries);
        let bytes = u64::from(count) * u64::from(size);
        let memory = map(bytes).map_err(|error| Refusal {
            what: format!("no memory for {count} buffers of {size} bytes: {error:#}"),
            why: format!("that is {} MiB, more than this process may have", bytes >> 20),
            remedy: "fewer --buffers, or a smaller --buffer-size".to_string(),
        })?;
        // SAFETY: the kernel reads the ring for as long as the group is registered. The ring is
        // page-aligned, holds `count` entries and is never unmapped.
        unsafe { submitter.register_buf_ring_with_flags(ring.as_ptr() as u64, count, group, 0) }
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => Refusal {
                    what: "the kernel refused a provided-buffer ring: EINVAL".to_string(),
                    why: format!(
                        "provided-buffer rings came with Linux 5.19; this is {}",
                        environment::kernel_release()
                    ),
                    remedy: "a kernel of 5.19 or later; day01 and day02 run on older ones"
                        .to_string(),
                },
                _ => environment::explain_memory("IORING_REGISTER_PBUF_RING", &error, locked),
            })?;
        let mut buffers = Buffers {
            ring: ring.cast(),
            // SAFETY: `map` has returned `bytes` bytes of zeroes, never unmapped. From here on
            // we use them as atomics only; the kernel writes to a buffer between `give_back`
            // and the completion that names the buffer, and may read it for a send of ours.
            memory: unsafe { std::slice::from_raw_parts(memory.cast().as_ptr(), bytes as usize) },
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

    /// The size of a buffer in bytes.
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

    /// A completion says that the kernel filled buffer `id`: it belongs to the program until it is
    /// given back.
    ///
    /// # Panics
    /// If it belonged to the program already: two owners of one buffer would overwrite each other.
    pub fn take(&mut self, id: u16) {
        let ours = &mut self.ours[usize::from(id)];
        assert!(!*ours, "buffer {id} completed twice");
        *ours = true;
        self.with_kernel -= 1;
    }

    /// A copy of the first `len` bytes of a buffer that belongs to the program.
    ///
    /// # Panics
    /// If the buffer belongs to the kernel, or is shorter.
    pub fn copy(&self, id: u16, len: u32) -> Vec<u8> {
        assert!(self.ours[usize::from(id)], "buffer {id} belongs to the kernel");
        assert!(len <= self.size, "{len} bytes of a buffer of {}", self.size);
        self.buffer(id)[..len as usize].iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    /// The address of a buffer, for an operation that reads from it.
    ///
    /// # Panics
    /// If there is no such buffer.
    pub fn address(&self, id: u16) -> *const u8 {
        self.buffer(id).as_ptr().cast()
    }

    fn buffer(&self, id: u16) -> &'static [AtomicU8] {
        let size = self.size as usize;
        &self.memory[usize::from(id) * size..][..size]
    }

    /// Gives a buffer back to the kernel, which may fill it at once. A send from it must have
    /// completed, or other bytes are sent.
    ///
    /// # Panics
    /// If the kernel has it already.
    pub fn give_back(&mut self, id: u16) {
        let address = self.address(id) as u64;
        let ours = &mut self.ours[usize::from(id)];
        assert!(std::mem::take(ours), "buffer {id} given back twice");
        let mask = self.ours.len() as u16 - 1;
        let entries = self.ring.as_ptr();
        // SAFETY: the index is masked to the ring's size, and the ring is never unmapped. The
        // kernel reads entries only up to the tail, and this one lies beyond it until the
        // store below. The entry's first 14 bytes are written; the last two of entry 0 are
        // the tail itself.
        unsafe {
            let entry = &mut *entries.add(usize::from(self.tail & mask));
            entry.set_addr(address);
            entry.set_len(self.size);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        self.with_kernel += 1;
        // SAFETY: `BufRingEntry::tail` points at the tail in entry 0, aligned to two bytes and
        // never unmapped; the kernel only reads it. Release: the entry is written before it is
        // published.
        unsafe {
            let tail = BufRingEntry::tail(entries).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

/// Memory from `mmap(2)`, for the rest of the process's life: page-aligned, zeroed, and taken
/// from the system only when touched.
fn map(len: u64) -> Result<NonNull<u8>> {
    // No slice is longer than `isize::MAX`.
    let len = isize::try_from(len).context("more than an address space holds")?;
    let len = NonZeroUsize::new(len.unsigned_abs()).context("a mapping of no bytes")?;
    // SAFETY: a fresh anonymous mapping at an address the kernel chooses overlaps nothing.
    let address = unsafe {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        mmap_anonymous(None, len, access, MapFlags::MAP_PRIVATE)
    };
    Ok(address.context("mmap")?.cast())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use io_uring::squeue::Flags;
    use io_uring::types::Fd;
    use io_uring::{IoUring, opcode};

    use super::*;
    use crate::queues::Queues;
    use crate::ring::{RingOptions, SetupFlags, build};
    use testkit::{PATIENCE, holds_within, io_uring_or_skip, skipped};

    const SIZE: u32 = 1 << 16;

    /// A ring with one buffer, on kernels that have provided-buffer rings.
    fn ring_or_skip(test: &str) -> Option<(IoUring, Buffers)> {
        if !io_uring_or_skip(test) {
            return None;
        }
        let ring = build(&RingOptions::default(), 2, SetupFlags::default()).unwrap();
        let mut registered = Buffers::register(&ring.submitter(), 0, 1, SIZE);
        // Other tests can use up what RLIMIT_MEMLOCK allows, for a moment.
        holds_within(PATIENCE, || match &registered {
            Err(error) if error.to_string().contains("ENOMEM") => {
                registered = Buffers::register(&ring.submitter(), 0, 1, SIZE);
                false
            }
            _ => true,
        });
        match registered {
            Err(error) if error.to_string().contains("came with Linux 5.19") => {
                skipped(test, format_args!("{error:#}"));
                None
            }
            registered => Some((ring, registered.unwrap())),
        }
    }

    /// A receive that waits for bytes, and then takes a buffer.
    struct Waiting<'ring> {
        queues: Queues<'ring>,
        peer: UnixStream,
    }

    impl Waiting<'_> {
        fn on(ring: &mut IoUring) -> Waiting<'_> {
            let (peer, ours) = UnixStream::pair().unwrap();
            let mut queues = Queues::new(ring);
            let receive = opcode::Recv::new(Fd(ours.as_raw_fd()), std::ptr::null_mut(), SIZE)
                .buf_group(0)
                .build()
                .flags(Flags::BUFFER_SELECT);
            // SAFETY: the entry points at no memory; that of the group is never freed.
            unsafe { queues.push(&receive) }.unwrap();
            queues.submit_and_wait(0, None).unwrap();
            Waiting { queues, peer }
        }

        /// Has the kernel write `bytes` to the buffer.
        fn receive(mut self, bytes: &[u8]) {
            self.peer.write_all(bytes).unwrap();
            self.queues.submit_and_wait(1, None).unwrap();
            let completion = self.queues.next_completion().expect("the wait was for one");
            assert_eq!(completion.result(), bytes.len() as i32);
        }
    }

    /// Whether a new mapping could lie there.
    fn is_free(address: *const u8) -> bool {
        let page = NonZeroUsize::new(address as usize).unwrap();
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
        // SAFETY: NOREPLACE: the new mapping overlaps nothing, or the call fails.
        let mapped =
            unsafe { mmap_anonymous(Some(page), NonZeroUsize::MIN, ProtFlags::PROT_READ, flags) };
        mapped.is_ok_and(|mapped| mapped.addr() == page)
    }

    #[test]
    fn a_copy_stays_as_it_is_while_the_kernel_writes() {
        const NAME: &str = "a_copy_stays_as_it_is_while_the_kernel_writes";
        let Some((mut ring, mut buffers)) = ring_or_skip(NAME) else { return };
        let waiting = Waiting::on(&mut ring);
        buffers.take(0); // a mistake: no completion has come
        let copy = buffers.copy(0, 5);
        waiting.receive(b"HELLO");
        assert_eq!(copy, [0; 5]);
        assert_eq!(buffers.copy(0, 5), *b"HELLO");
    }

    #[test]
    fn buffers_that_are_dropped_before_the_ring_are_not_freed() {
        const NAME: &str = "buffers_that_are_dropped_before_the_ring_are_not_freed";
        let Some((mut ring, buffers)) = ring_or_skip(NAME) else { return };
        let waiting = Waiting::on(&mut ring);
        let (memory, entries) = (buffers.address(0), buffers.ring.as_ptr());
        drop(buffers);
        waiting.receive(b"the kernel has not noticed");
        assert!(!is_free(memory));
        assert!(!is_free(entries.cast()));
    }

    /// Closing a ring does not wait for what is in flight.
    #[test]
    fn buffers_that_are_dropped_after_the_ring_are_not_freed() {
        const NAME: &str = "buffers_that_are_dropped_after_the_ring_are_not_freed";
        let Some((mut ring, buffers)) = ring_or_skip(NAME) else { return };
        let waiting = Waiting::on(&mut ring);
        let (memory, entries) = (buffers.address(0), buffers.ring.as_ptr());
        drop(waiting);
        drop(ring);
        drop(buffers);
        assert!(!is_free(memory));
        assert!(!is_free(entries.cast()));
    }
}
