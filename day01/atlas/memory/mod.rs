//! Advice about how files and memory are going to be used.

use std::fs;
use std::os::fd::AsRawFd;

use anyhow::Context;
use atlas::Result;
use nix::errno::Errno;
use nix::unistd;

mod fadvise;
mod madvise;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[fadvise::ENTRY, madvise::ENTRY];

/// Memory that is mapped until the end of the program.
#[derive(Clone, Copy)]
struct Mapping {
    start: *mut libc::c_void,
    pages: usize,
}

impl Mapping {
    /// Maps a file, or memory without one (-1).
    fn new(pages: usize, protection: i32, flags: i32, file: i32) -> Result<Mapping> {
        let (anywhere, len) = (std::ptr::null_mut(), pages * page_size());
        // SAFETY: a new mapping changes no other memory.
        let start = unsafe { libc::mmap(anywhere, len, protection, flags, file, 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last().into());
        }
        Ok(Mapping { start, pages })
    }

    /// Its first pages.
    fn head(self, pages: usize) -> Mapping {
        Mapping { pages, ..self }
    }

    /// Its last pages.
    fn tail(self, pages: usize) -> Mapping {
        let skipped = self.pages.saturating_sub(pages) * page_size();
        Mapping { start: self.start.wrapping_byte_add(skipped), pages: pages.min(self.pages) }
    }

    fn len(self) -> usize {
        self.pages * page_size()
    }

    /// How many of its pages are in memory: mincore(2).
    fn resident(self) -> Result<usize> {
        let mut pages = vec![0_u8; self.pages];
        // SAFETY: the mapping is never unmapped, and `pages` has a byte for each of its pages.
        let result = unsafe { libc::mincore(self.start, self.len(), pages.as_mut_ptr()) };
        Errno::result(result)?;
        Ok(pages.iter().filter(|&page| page & 1 != 0).count())
    }

    /// Writes a byte all over it.
    fn fill(self, byte: u8) {
        // SAFETY: it is mapped for writing, and there is no reference to it.
        unsafe { self.start.cast::<u8>().write_bytes(byte, self.len()) };
    }

    fn first_byte(self) -> u8 {
        // SAFETY: it is mapped. The kernel changes it, so it is read each time.
        unsafe { self.start.cast::<u8>().read_volatile() }
    }

    /// madvise(2).
    fn madvise(self, advice: i32) -> nix::Result<()> {
        // SAFETY: there is no reference to it, and it may hold any bytes.
        Errno::result(unsafe { libc::madvise(self.start, self.len(), advice) }).map(drop)
    }

    /// Whether write(2) can read its first byte.
    fn written_to_a_pipe(self) -> nix::Result<usize> {
        let (_reader, writer) = unistd::pipe()?;
        // SAFETY: only the kernel reads that byte. It answers EFAULT if it cannot.
        let written = unsafe { libc::write(writer.as_raw_fd(), self.start, 1) };
        Errno::result(written).map(|written| written as usize)
    }

    /// A field of /proc/self/smaps about the mapping in which it begins.
    fn smaps(self, field: &str) -> Result<String> {
        let smaps = fs::read_to_string("/proc/self/smaps")?;
        let begins_there = |line: &&str| {
            let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
            let ends = range.map(|(from, to)| [from, to].map(|end| usize::from_str_radix(end, 16)));
            matches!(ends, Some([Ok(from), Ok(to)]) if (from..to).contains(&(self.start as usize)))
        };
        let lines = smaps.lines().skip_while(|line| !begins_there(line));
        let mut values = lines.filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(values.next().context("/proc/self/smaps has no such mapping")?.trim().to_string())
    }
}

/// Bytes of a page.
fn page_size() -> usize {
    // SAFETY: the call takes no memory.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}
