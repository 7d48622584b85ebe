//! A ring whose queues this program maps and reads itself, for setup flags that the `io_uring`
//! crate's `IoUring` cannot have: `NO_MMAP`, `REGISTERED_FD_ONLY` and `SQ_REWIND`.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use common::catalog::{
    ENTER_FLAGS, MMAP_OFFSETS, REGISTER_FLAGS, REGISTER_OPERATIONS, SETUP_FLAGS,
};
use io_uring::squeue;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::{Answer, raw};

const NO_MMAP: u32 = SETUP_FLAGS.code("NO_MMAP");
const NO_SQARRAY: u32 = SETUP_FLAGS.code("NO_SQARRAY");
const REGISTERED_FD_ONLY: u32 = SETUP_FLAGS.code("REGISTERED_FD_ONLY");
const SQ_REWIND: u32 = SETUP_FLAGS.code("SQ_REWIND");

/// Flags for queues that this type would misread.
const UNLIKE_OURS: u32 = SETUP_FLAGS.code("SQE128")
    | SETUP_FLAGS.code("CQE32")
    | SETUP_FLAGS.code("SQE_MIXED")
    | SETUP_FLAGS.code("CQE_MIXED")
    | SETUP_FLAGS.code("SQPOLL");

/// The mmap offsets of a ring's two parts.
const QUEUES: u32 = MMAP_OFFSETS.code("SQ_RING");
const ENTRIES: u32 = MMAP_OFFSETS.code("SQES");

/// The most entries of a ring: with these, each of its two parts fits into one page.
const MOST_ENTRIES: u32 = 32;
const PAGE: usize = 4096;

/// `struct io_uring_params`, of which the program fills in the first half and the kernel the
/// rest.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Params {
    /// Submission queue entries.
    pub sq_entries: u32,
    /// Completion queue entries.
    pub cq_entries: u32,
    /// `IORING_SETUP_*`.
    pub flags: u32,
    /// The poller's CPU and idle time.
    pub sq_thread: [u32; 2],
    /// `IORING_FEAT_*`, from the kernel.
    pub features: u32,
    /// The ring whose workers are shared.
    pub wq_fd: u32,
    /// Must be zero.
    pub resv: [u32; 3],
    /// The submission queue: head, tail, mask, entries, flags, dropped, index array.
    pub sq_off: [u32; 8],
    /// With NO_MMAP, where the program has the entries.
    pub sq_address: u64,
    /// The completion queue: head, tail, mask, entries, overflow, completions, flags.
    pub cq_off: [u32; 8],
    /// With NO_MMAP, where the program has both queues.
    pub cq_address: u64,
}

/// A ring that this program reads and writes itself. It has completions of 16 bytes.
#[derive(Debug)]
pub struct OwnRing {
    /// Closed before the memory goes. `None` with REGISTERED_FD_ONLY.
    fd: Option<OwnedFd>,
    number: RawFd,
    params: Params,
    queues: Memory,
    entries: Memory,
    tail: u32,
}

impl OwnRing {
    /// Sets up a ring with `flags`, which shares no other ring's workers. With NO_MMAP its two
    /// parts lie in two pages that this program provides.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Panics
    /// If there are more than 32 entries: a part of the ring would need a second page. If the flags
    /// ask for places of another size, or for a kernel thread that reads entries at any time.
    pub fn setup(entries: u32, flags: u32) -> io::Result<OwnRing> {
        assert!(entries <= MOST_ENTRIES, "each part fits into one page");
        assert_eq!(flags & UNLIKE_OURS, 0, "entries of 64 bytes, completions of 16, no poller");
        let mut params = Params { flags, ..Params::default() };
        let mut pages = None;
        if flags & NO_MMAP != 0 {
            let (queues, entries) = (Memory::of_our_own()?, Memory::of_our_own()?);
            params.cq_address = queues.0.as_ptr() as u64;
            params.sq_address = entries.0.as_ptr() as u64;
            pages = Some((queues, entries));
        }
        // SAFETY: the structure has the kernel's layout. The pages, to which the kernel writes as
        // long as there is a ring, are dropped after the ring.
        let number =
            unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, ptr::from_mut(&mut params)) };
        let number = Errno::result(number)? as RawFd;
        // SAFETY: the descriptor is new and has no other owner.
        let fd = (flags & REGISTERED_FD_ONLY == 0).then(|| unsafe { OwnedFd::from_raw_fd(number) });
        let (queues, entries) = match (pages, &fd) {
            (Some(pages), _) => pages,
            (None, Some(fd)) => {
                (Memory::of_ring(fd.as_fd(), QUEUES)?, Memory::of_ring(fd.as_fd(), ENTRIES)?)
            }
            (None, None) => unreachable!("the kernel gives no index without NO_MMAP"),
        };
        let mut ring = OwnRing { fd, number, params, queues, entries, tail: 0 };
        if flags & NO_SQARRAY == 0 {
            ring.set_order(&(0..ring.params.sq_entries).collect::<Vec<_>>());
        }
        Ok(ring)
    }

    /// The ring's descriptor, or, with REGISTERED_FD_ONLY, its index.
    pub fn number(&self) -> RawFd {
        self.number
    }

    /// What the kernel wrote back.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Sets the index array: which entry each place of the submission queue names.
    ///
    /// # Panics
    /// If the ring has no array.
    pub fn set_order(&mut self, order: &[u32]) {
        assert_eq!(self.params.flags & NO_SQARRAY, 0, "this ring has an index array");
        let [.., array, _] = self.params.sq_off;
        for (place, index) in (0..self.params.sq_entries).zip(order) {
            self.at(array + 4 * place).store(*index, Ordering::Relaxed);
        }
    }

    /// Changes the sizes of the queues (`IORING_REGISTER_RESIZE_RINGS`), and maps them again.
    /// For rings with NO_SQARRAY: the kernel does not say where the new index array is.
    ///
    /// # Errors
    /// The kernel's; the ring is then as it was.
    ///
    /// # Panics
    /// If a part of the ring would need a second page or is the program's own, or if there is an
    /// index array.
    pub fn resize(&mut self, entries: u32, completions: u32) -> io::Result<()> {
        assert!(entries <= MOST_ENTRIES && completions <= 2 * MOST_ENTRIES, "one page each");
        assert_eq!(
            self.params.flags & (NO_SQARRAY | NO_MMAP),
            NO_SQARRAY,
            "no array, no own memory"
        );
        let fd = self.fd.as_ref().expect("without NO_MMAP there is a descriptor");
        let flags = SETUP_FLAGS.code("CQSIZE");
        let mut params =
            Params { sq_entries: entries, cq_entries: completions, flags, ..Params::default() };
        let call = REGISTER_OPERATIONS.code("REGISTER_RESIZE_RINGS");
        // SAFETY: the call reads and writes this structure.
        unsafe { raw::register(self.number, call, ptr::from_mut(&mut params), 1) }?;
        // The kernel keeps the old memory as long as it is mapped.
        self.queues = Memory::of_ring(fd.as_fd(), QUEUES)?;
        self.entries = Memory::of_ring(fd.as_fd(), ENTRIES)?;
        self.params = Params { flags: self.params.flags, ..params };
        Ok(())
    }

    /// Sets the completion queue's flags, which are the program's to set.
    pub fn set_completion_flags(&mut self, flags: u32) {
        self.at(self.params.cq_off[6]).store(flags, Ordering::Release);
    }

    /// The tail of the submission queue, as the kernel sees it.
    pub fn tail(&self) -> u32 {
        self.at(self.params.sq_off[1]).load(Ordering::Acquire)
    }

    /// A copy of the page with both queues.
    pub fn queues(&self) -> Vec<u32> {
        (0..PAGE as u32 / 4).map(|word| self.at(4 * word).load(Ordering::Acquire)).collect()
    }

    /// A number in the memory that the kernel shares: it writes there as another thread would.
    fn at(&self, offset: u32) -> &AtomicU32 {
        assert!(offset as usize <= PAGE - 4, "inside the page");
        // SAFETY: it lies inside the page, and the kernel aligns its offsets.
        unsafe { AtomicU32::from_ptr(self.queues.0.as_ptr().byte_add(offset as usize).cast()) }
    }

    /// Puts an entry into the queue.
    ///
    /// # Safety
    /// What the entry points at must live, and must not be used elsewhere, until its last
    /// completion. That is the completion of the last time that the kernel reads this place before
    /// another entry is pushed into it: the order of [`OwnRing::set_order`] may name it again, and
    /// with SQ_REWIND so may an enter that asks for more than was pushed.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) {
        let place = (self.tail & (self.params.sq_entries - 1)) as usize;
        // SAFETY: the place is one of the page's 64. The kernel reads it in an enter only.
        unsafe {
            self.entries.0.as_ptr().cast::<squeue::Entry>().add(place).write(entry.clone());
        }
        self.tail = self.tail.wrapping_add(1);
        if self.params.flags & SQ_REWIND == 0 {
            self.at(self.params.sq_off[1]).store(self.tail, Ordering::Release);
        }
    }

    /// Submits what was pushed, and waits for `wait` completions (`io_uring_enter(2)`).
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(&mut self, submit: u32, wait: u32) -> io::Result<u32> {
        let mut flags = ENTER_FLAGS.code("GETEVENTS");
        if self.fd.is_none() {
            flags |= ENTER_FLAGS.code("REGISTERED_RING");
        }
        if self.params.flags & SQ_REWIND != 0 {
            self.tail = 0;
        }
        // SAFETY: there is no argument. The kernel reads places that were pushed under the promise of
        // `push`, or zeros, which are NOPs.
        unsafe { raw::enter(self.number, submit, wait, flags, 0, 0) }
    }

    /// Takes the next completion, if there is one.
    pub fn completion(&mut self) -> Option<Answer> {
        let [head_at, tail_at, _, _, _, completions, ..] = self.params.cq_off;
        let head = self.at(head_at).load(Ordering::Relaxed);
        if head == self.at(tail_at).load(Ordering::Acquire) {
            return None;
        }
        let place = completions + 16 * (head & (self.params.cq_entries - 1));
        let [low, high, result, flags] =
            [0, 4, 8, 12].map(|offset| self.at(place + offset).load(Ordering::Relaxed));
        self.at(head_at).store(head.wrapping_add(1), Ordering::Release);
        let user_data = u64::from(low) | u64::from(high) << 32;
        Some(Answer { user_data, result: result as i32, flags, extra: [0; 2] })
    }
}

impl Drop for OwnRing {
    fn drop(&mut self) {
        if self.fd.is_none() {
            // `struct io_uring_rsrc_update`: the index, and a descriptor that is not looked at.
            let update = [self.number as u64, 0];
            let call = REGISTER_OPERATIONS.code("UNREGISTER_RING_FDS")
                | REGISTER_FLAGS.code("USE_REGISTERED_RING");
            // SAFETY: the call reads these 16 bytes. If it fails, the thread's end takes the ring.
            let _ = unsafe { raw::register(self.number, call, update.as_ptr(), 1) };
        }
    }
}

/// A page from mmap(2), unmapped when dropped.
#[derive(Debug)]
struct Memory(NonNull<c_void>);

impl Memory {
    const LENGTH: NonZeroUsize = NonZeroUsize::new(PAGE).expect("more than nothing");
    const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

    fn of_ring(ring: BorrowedFd, offset: u32) -> io::Result<Memory> {
        let shared = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: the kernel finds a place that is free.
        Ok(Memory(unsafe {
            mmap(None, Self::LENGTH, Self::READ_WRITE, shared, ring, offset.into())
        }?))
    }

    fn of_our_own() -> io::Result<Memory> {
        let private = MapFlags::MAP_PRIVATE;
        // SAFETY: the kernel finds a place that is free.
        Ok(Memory(unsafe { mmap_anonymous(None, Self::LENGTH, Self::READ_WRITE, private) }?))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: no other code refers to the page. A ring that used it holds its own references.
        let _ = unsafe { munmap(self.0, PAGE) };
    }
}
