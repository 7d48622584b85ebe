//! Reading a ring's memory while its owner and the kernel write to it.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{c_void, off_t, pid_t};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::params::Params;
use super::sys;

/// Offsets to `mmap(2)` on a ring's descriptor (`IORING_OFF_*`).
const OFF_SQ_RING: off_t = 0;
const OFF_CQ_RING: off_t = 0x800_0000;
const OFF_SQES: off_t = 0x1000_0000;

/// The three parts of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The submission queue: head, tail, flags, the index array.
    Sq,
    /// The completion queue: head, tail, the completions.
    Cq,
    /// The submission entries.
    Sqes,
}

/// A ring's memory: mapped, or in its owner's pages.
#[derive(Debug)]
pub enum Memory {
    /// Shared by the kernel with every process that maps the ring's descriptor.
    Mapped {
        /// [`Part::Sq`].
        sq: Map,
        /// [`Part::Cq`].
        cq: Map,
        /// [`Part::Sqes`].
        sqes: Map,
    },
    /// The program's own pages (`IORING_SETUP_NO_MMAP`), read from outside.
    Remote {
        /// Whose pages.
        owner: pid_t,
        /// Address of both queues.
        rings: u64,
        /// Address of the entries.
        sqes: u64,
    },
}

impl Memory {
    /// Maps a ring's three parts, read-only and no larger than they are.
    ///
    /// # Errors
    /// The kernel's, from `mmap(2)`.
    pub fn map(fd: BorrowedFd<'_>, params: &Params) -> nix::Result<Memory> {
        Ok(Memory::Mapped {
            sq: Map::new(fd, OFF_SQ_RING, params.sq_bytes())?,
            cq: Map::new(fd, OFF_CQ_RING, params.cq_bytes())?,
            sqes: Map::new(fd, OFF_SQES, params.sqe_bytes())?,
        })
    }

    /// As [`Memory::map`], for a ring whose sizes are not certain.
    ///
    /// # Errors
    /// `EFAULT` if the ring has less memory than that: a read beyond it would kill this program.
    pub fn map_whole(fd: BorrowedFd<'_>, params: &Params) -> nix::Result<Memory> {
        let memory = Memory::map(fd, params)?;
        let Memory::Mapped { sq, cq, sqes } = &memory else { return Ok(memory) };
        match [sq, cq, sqes].iter().all(|map| map.is_whole()) {
            true => Ok(memory),
            false => Err(nix::errno::Errno::EFAULT),
        }
    }

    /// The memory of a ring that its owner allocated.
    pub fn remote(owner: pid_t, params: &Params) -> Memory {
        Memory::Remote { owner, rings: params.cq().user_addr, sqes: params.sq().user_addr }
    }

    /// Fills `into` from `offset`. `None` if that is not inside the part, or not readable.
    pub fn read(&self, part: Part, offset: usize, into: &mut [u8]) -> Option<()> {
        match self {
            Memory::Mapped { sq, cq, sqes } => match part {
                Part::Sq => sq.read(offset, into),
                Part::Cq => cq.read(offset, into),
                Part::Sqes => sqes.read(offset, into),
            },
            Memory::Remote { owner, rings, sqes } => {
                let base = if part == Part::Sqes { sqes } else { rings };
                sys::read_memory(*owner, base.checked_add(offset as u64)?, into).ok()
            }
        }
    }

    /// Reads one word, such as a head or a tail.
    pub fn word(&self, part: Part, offset: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(part, offset as usize, &mut bytes)?;
        Some(u32::from_ne_bytes(bytes))
    }
}

/// A read-only mapping of a ring, which keeps the ring alive as long as it exists.
#[derive(Debug)]
pub struct Map {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and to no thread; it is only ever read, and
// reads are atomic.
unsafe impl Send for Map {}

impl Map {
    fn new(fd: BorrowedFd<'_>, offset: off_t, length: usize) -> nix::Result<Map> {
        let size = NonZeroUsize::new(length).ok_or(nix::errno::Errno::EINVAL)?;
        // SAFETY: a fresh mapping at an address that the kernel chooses touches no memory of
        // ours. The kernel owns the pages and keeps them as long as they are mapped.
        let start = unsafe {
            mmap(None, size, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, fd.as_fd(), offset)?
        };
        Ok(Map { start, length })
    }

    /// Whether the kernel's memory reaches to the mapping's last byte. If not even the first byte can
    /// be read this way, the kernel is an old one, which maps no more than there is.
    fn is_whole(&self) -> bool {
        let start = self.start.as_ptr() as u64;
        let there = |at: u64| sys::read_memory(std::process::id() as pid_t, at, &mut [0]).is_ok();
        there(start + self.length as u64 - 1) || !there(start)
    }

    /// Copies whole words, each read at once; `offset` and the length are multiples of 4.
    fn read(&self, offset: usize, into: &mut [u8]) -> Option<()> {
        let end = offset.checked_add(into.len())?;
        if end > self.length || offset % 4 != 0 || into.len() % 4 != 0 {
            return None;
        }
        for (index, word) in into.chunks_exact_mut(4).enumerate() {
            // SAFETY: inside the mapping, as just checked, and aligned, since the mapping
            // begins on a page. Kernel and program write to it meanwhile, hence the atomic.
            // Acquire: what the writer of a tail wrote before it is then visible too.
            let value = unsafe {
                let address = self.start.as_ptr().byte_add(offset + index * 4);
                AtomicU32::from_ptr(address.cast()).load(Ordering::Acquire)
            };
            word.copy_from_slice(&value.to_ne_bytes());
        }
        Some(())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: ours alone, and nothing borrows from it: reads copy.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_map_reads_inside_itself_only() {
        let mut file = tempfile::tempfile().expect("a scratch file");
        file.write_all(&[7; 64]).expect("64 bytes");
        let map = Map::new(file.as_fd(), 0, 64).expect("mapping a file");
        let mut bytes = [0; 8];
        assert_eq!(map.read(56, &mut bytes), Some(()));
        assert_eq!(bytes, [7; 8]);
        assert_eq!(map.read(60, &mut bytes), None, "past the end");
        assert_eq!(map.read(usize::MAX, &mut bytes), None, "past all ends");
        assert_eq!(map.read(2, &mut bytes), None, "not a word's place");
    }
}
