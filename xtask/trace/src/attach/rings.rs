//! Finding the rings that a running process has, and how they are laid out.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use libc::pid_t;

use crate::codes::setup;
use crate::context::{long, word};
use crate::memory::{Memory, Part};
use crate::params::Params;
use crate::ring::{FdInfo, Ring, looks_large};
use crate::sys;

/// A ring of a running process.
#[derive(Debug)]
pub struct Found {
    /// Its descriptors in the process; none if it closed them and uses an index.
    pub fds: Vec<i32>,
    /// What the kernel says of it.
    pub info: FdInfo,
    /// The ring, or why it cannot be followed.
    pub ring: io::Result<Ring>,
    fd: OwnedFd,
}

/// Whether a descriptor of a task is a ring's.
pub fn holds_a_ring(task: pid_t, fd: i32) -> bool {
    fs::read_link(format!("/proc/{task}/fd/{fd}"))
        .is_ok_and(|target| target.as_os_str() == "anon_inode:[io_uring]")
}

/// Finds the rings behind the descriptors of a process but for the `known` descriptors.
pub fn found(process: pid_t, known: &[i32]) -> Vec<Found> {
    let Ok(folder) = fs::read_dir(format!("/proc/{process}/fd")) else { return Vec::new() };
    let mut fds: Vec<i32> =
        folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    fds.retain(|fd| !known.contains(fd) && holds_a_ring(process, *fd));
    fds.sort_unstable();
    let mut rings: Vec<Found> = Vec::new();
    for number in fds {
        // Closed meanwhile, or not available.
        let Ok(fd) = sys::take_descriptor(process, process, number) else { continue };
        match rings.iter_mut().find(|ring| sys::same_file(ring.fd.as_fd(), fd.as_fd())) {
            Some(same) => same.fds.push(number),
            None => {
                let info = patiently_info_of(&fd);
                let ring = fd.try_clone().and_then(|copy| ring_of(process, copy, &info));
                rings.push(Found { fds: vec![number], info, ring, fd });
            }
        }
    }
    rings
}

/// As [`FdInfo::of`], with retries: the kernel says little of a ring while an enter runs.
fn patiently_info_of(fd: &OwnedFd) -> FdInfo {
    const TRIES: u32 = 2000;
    const PAUSE: Duration = Duration::from_micros(50);
    for _ in 0..TRIES {
        let info = FdInfo::of(fd);
        if info.sq_entries.is_some() && info.slots.is_some() {
            return info;
        }
        std::thread::sleep(PAUSE);
    }
    FdInfo::of(fd)
}

fn ring_of(process: pid_t, fd: OwnedFd, info: &FdInfo) -> io::Result<Ring> {
    let (Some(entries), Some(completions)) = (info.sq_entries, info.cq_entries) else {
        return Err(io::Error::other("the kernel does not say how large it is"));
    };
    let flags = if info.polled { setup::SQPOLL } else { 0 };
    let mapped = candidates(entries, completions, flags, |params| {
        Memory::map_whole(fd.as_fd(), params).ok()
    })?;
    if let Some((params, memory)) = likeliest(mapped, info) {
        return Ok(Ring::joined(mixed(params), memory, Some(fd)));
    }
    // It cannot be mapped: it lies in the program's own memory.
    let queues = pages(process).find(|(_, page)| sizes(page) == Some([entries, completions]));
    let Some((rings, _)) = queues else {
        return Err(io::Error::other("it lies in the program's own memory, and was not found"));
    };
    in_its_own_memory(process, rings, info, Some(fd))
}

/// A ring that lies in the program's own memory, its queues at `rings`.
fn in_its_own_memory(
    process: pid_t,
    rings: u64,
    info: &FdInfo,
    fd: Option<OwnedFd>,
) -> io::Result<Ring> {
    let [entries, completions] = [info.sq_entries, info.cq_entries].map(|size| size.unwrap_or(1));
    let sqes = entries_in(process, rings, entries, completions).unwrap_or(0);
    let polled = if info.polled { setup::SQPOLL } else { 0 };
    let own = candidates(entries, completions, polled | setup::NO_MMAP, |params| {
        Some(Memory::remote(process, &params.at(rings, sqes)))
    })?;
    match likeliest(own, info) {
        Some((params, memory)) => Ok(Ring::joined(mixed(params.at(rings, sqes)), memory, fd)),
        None => Err(io::Error::other("no layout fits its memory")),
    }
}

/// The rings of a process without a descriptor (`IORING_SETUP_REGISTERED_FD_ONLY`), which lie in
/// its own memory, but not at `known` addresses.
pub fn without_descriptor(process: pid_t, known: &[u64]) -> Vec<(FdInfo, io::Result<Ring>)> {
    let queues = pages(process).filter(|(address, _)| !known.contains(address));
    let found = queues.filter_map(|(address, page)| {
        let [entries, completions] = sizes(&page)?;
        let info = FdInfo {
            sq_entries: Some(entries),
            cq_entries: Some(completions),
            ..FdInfo::default()
        };
        let ring = in_its_own_memory(process, address, &info, None);
        Some((info, ring))
    });
    found.collect()
}

/// Only a mark on an entry or a completion shows that sizes are mixed.
fn mixed(params: Params) -> Params {
    params.with(params.flags | setup::CQE_MIXED | setup::SQE_MIXED)
}

type Candidate = (Params, Memory);

/// The possible layouts of the ring, with its memory. A ring of our own shows where this kernel
/// keeps each field.
fn candidates(
    entries: u32,
    completions: u32,
    flags: u32,
    map: impl Fn(&Params) -> Option<Memory>,
) -> io::Result<Vec<Candidate>> {
    let mut all = Vec::new();
    let mut refused = None;
    for layout in [0, setup::CQE32, setup::NO_SQARRAY, setup::CQE32 | setup::NO_SQARRAY] {
        match Params::of_own_ring(entries, completions, layout) {
            Ok(params) => {
                for size in [0, setup::SQE128] {
                    let params = params.with(params.flags & layout | flags | size);
                    all.extend(map(&params).map(|memory| (params, memory)));
                }
            }
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        // Older kernels do not know every flag.
        Some(error) if all.is_empty() && error.raw_os_error() != Some(libc::EINVAL) => Err(error),
        _ => Ok(all),
    }
}

/// The possible layout that fits best to what lies in the ring's memory.
fn likeliest(mut candidates: Vec<Candidate>, info: &FdInfo) -> Option<Candidate> {
    let keep = |candidates: &mut Vec<Candidate>, flag: u32, yes: bool| {
        if candidates.iter().any(|(params, _)| params.has(flag) == yes) {
            candidates.retain(|(params, _)| params.has(flag) == yes);
        }
    };
    let large = info.large_completions.or_else(|| {
        // Where both would fit, the larger one shows all there is.
        let (params, memory) = candidates.iter().find(|(it, _)| it.has(setup::CQE32))?;
        let written = memory.word(Part::Cq, params.cq().tail)?;
        let used = |nth| is_used(memory, Part::Cq, params.cq().cqes as usize, nth, 16);
        Some(looks_large(params.cq_entries, written, used))
    });
    keep(&mut candidates, setup::CQE32, large.unwrap_or(false));
    let large = info.large_entries.or_else(|| {
        let (params, memory) = candidates.iter().find(|(it, _)| it.has(setup::SQE128))?;
        let written = memory.word(Part::Sq, params.sq().tail)?;
        let used = |nth| is_used(memory, Part::Sqes, 0, nth, 64);
        Some(looks_large(params.sq_entries, written, used))
    });
    keep(&mut candidates, setup::SQE128, large.unwrap_or(false));
    // An array of zeros would mean that every entry lies in the first place.
    let empty = candidates.iter().find(|(it, _)| !it.has(setup::NO_SQARRAY)).map(|(it, memory)| {
        let at = |nth: u32| memory.word(Part::Sq, it.sq().array.saturating_add(4 * nth));
        (0..it.sq_entries).all(|nth| at(nth).is_none_or(|index| index == 0))
    });
    keep(&mut candidates, setup::NO_SQARRAY, empty.unwrap_or(true));
    candidates.into_iter().next()
}

/// Whether anything lies in a place of a queue.
fn is_used(memory: &Memory, part: Part, start: usize, nth: u32, size: usize) -> bool {
    let mut bytes = [0; 64];
    let bytes = &mut bytes[..size];
    let read = memory.read(part, start + nth as usize * size, bytes);
    read.is_some() && bytes.iter().any(|byte| *byte != 0)
}

/// The sizes of the queues that begin with a page (`struct io_rings`), if any do.
fn sizes(page: &[u8]) -> Option<[u32; 2]> {
    /// `IORING_MAX_ENTRIES`.
    const MOST: u32 = 32768;
    let [head, tail] = [0, 4].map(|at| word(page, at));
    let [mask, completion_mask, entries, completions] = [16, 20, 24, 28].map(|at| word(page, at));
    let fits = |mask: u32, size: u32| size.is_power_of_two() && mask == size - 1;
    let queues = fits(mask, entries)
        && fits(completion_mask, completions)
        && entries <= MOST
        && (entries..=2 * MOST).contains(&completions)
        && tail.wrapping_sub(head) <= entries;
    queues.then_some([entries, completions])
}

/// Finds the entries of the ring whose queues are at `rings`. They carry the values that its
/// completions answer.
fn entries_in(process: pid_t, rings: u64, entries: u32, completions: u32) -> Option<u64> {
    /// Where completions begin, and what is left of the page.
    const QUEUE: (u64, usize) = (64, 4096 - 64);
    let mut queue = vec![0; QUEUE.1.min(completions as usize * 32)];
    sys::read_memory(process, rings + QUEUE.0, &mut queue).ok()?;
    let answered = queue.chunks_exact(16).map(|completion| long(completion, 0));
    let answered: HashSet<u64> = answered.filter(|user_data| *user_data != 0).collect();
    let hits = |page: &[u8]| {
        let answers = |entry: &&[u8]| answered.contains(&long(entry, 32)) && entry[0] < 128;
        page.chunks_exact(64).take(entries as usize).filter(answers).count()
    };
    let others = pages(process).filter(|(address, _)| *address != rings);
    let best = others.map(|(address, page)| (hits(&page), address)).max_by_key(|(hits, _)| *hits);
    best.filter(|(hits, _)| *hits > 0).map(|(_, address)| address)
}

/// The pages that a process can write to, with their addresses; not all of them in a huge program.
fn pages(process: pid_t) -> impl Iterator<Item = (u64, Vec<u8>)> {
    const PAGE: u64 = 4096;
    /// 1 GiB: what can be looked at within a second.
    const MOST: usize = 1 << 18;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let ranges: Vec<(u64, u64)> = maps
        .lines()
        .filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")))
        .filter_map(|line| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
        })
        .collect();
    let addresses = ranges.into_iter().flat_map(|(start, end)| (start..end).step_by(PAGE as usize));
    addresses.take(MOST).filter_map(move |address| {
        let mut page = vec![0; PAGE as usize];
        sys::read_memory(process, address, &mut page).ok()?;
        Some((address, page))
    })
}
