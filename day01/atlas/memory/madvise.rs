//! MADVISE: say how memory will be used.
//!
//! Since 5.6. Stands for madvise(2); liburing: `io_uring_prep_madvise`; crate: `opcode::Madvise`.
//! Takes an address at the start of a page, a length of 32 bits (as FADVISE), and an advice.
//! Returns 0. Some of it is more than advice: DONTNEED empties private memory, REMOVE cuts a hole
//! into the file behind it, GUARD_INSTALL makes each use a fault. With length 0 nothing happens: a
//! program can test so whether a kernel knows an advice. It always runs in a worker thread.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result, Where};
use common::catalog::borrowed::MEMORY_ADVICE;
use common::catalog::{self, Kernel};
use common::environment::kernel_release;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::{Mapping, page_size};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_MADVISE",
        "MADV_NORMAL",
        "MADV_RANDOM",
        "MADV_SEQUENTIAL",
        "MADV_WILLNEED",
        "MADV_DONTNEED",
        "MADV_FREE",
        "MADV_REMOVE",
        "MADV_DONTFORK",
        "MADV_DOFORK",
        "MADV_MERGEABLE",
        "MADV_UNMERGEABLE",
        "MADV_HUGEPAGE",
        "MADV_NOHUGEPAGE",
        "MADV_DONTDUMP",
        "MADV_DODUMP",
        "MADV_WIPEONFORK",
        "MADV_KEEPONFORK",
        "MADV_COLD",
        "MADV_PAGEOUT",
        "MADV_POPULATE_READ",
        "MADV_POPULATE_WRITE",
        "MADV_DONTNEED_LOCKED",
        "MADV_COLLAPSE",
        "MADV_HWPOISON",
        "MADV_SOFT_OFFLINE",
        "MADV_GUARD_INSTALL",
        "MADV_GUARD_REMOVE",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut file = page.scratch()?.file("data")?;
    // Not by set_len: on a full disk, a write to the mapping would kill the program (SIGBUS).
    file.write_all(&vec![0; 4 * page_size()])?;
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let private = Mapping::new(4, writable, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    let shared = Mapping::new(4, writable, libc::MAP_SHARED, file.as_raw_fd())?;
    for mapping in [private, shared] {
        mapping.fill(7);
    }
    let entry = advise(private, libc::MADV_DONTNEED);
    // SAFETY: here and below, nothing in this program refers to a mapping but by its address, and
    // it may hold any bytes.
    unsafe { page.ask("DONTNEED of private memory", &mut ring, entry) }?;
    page.saw("it reads as zeros", private.first_byte() == 0)?;
    let entry = advise(shared, libc::MADV_DONTNEED);
    // SAFETY: as above.
    unsafe { page.ask("DONTNEED of a file's memory", &mut ring, entry) }?;
    page.saw("it reads as before: the file has it", shared.first_byte() == 7)?;

    for (name, mapping) in [("POPULATE_READ", shared), ("POPULATE_WRITE", private)] {
        if try_advice(page, &mut ring, name, mapping)? {
            let all = mapping.resident()? == mapping.pages;
            page.saw("mincore(2) finds all of its pages in memory", all)?;
        }
    }
    if try_advice(page, &mut ring, "REMOVE", shared)? {
        let path = page.scratch()?.path("data");
        page.saw("the file reads as zeros", fs::read(path)?.iter().all(|&byte| byte == 0))?;
    }
    try_advice(page, &mut ring, "WILLNEED", shared)?;
    for name in ["COLD", "PAGEOUT", "FREE"] {
        private.fill(7);
        try_advice(page, &mut ring, name, private)?;
    }
    marks(page, &mut ring, private)?;
    guard(page, &mut ring, private)?;
    huge_pages(page, &mut ring)?;
    locked(page, &mut ring, private)?;
    for name in ["HWPOISON", "SOFT_OFFLINE"] {
        // For no byte: a real one would take memory from this machine for good.
        try_advice(page, &mut ring, name, private.head(0))?;
    }
    mistakes(page, &mut ring, private, shared)
}
// ANCHOR_END: show

/// Asks for an advice, unless madvise(2) itself cannot follow it here, which is tried on the last
/// page. Returns whether the ring was asked.
fn try_advice(page: &mut Page, ring: &mut IoUring, name: &str, of: Mapping) -> Result<bool> {
    let fact = MEMORY_ADVICE.by_name(name).expect("an advice of the catalogue");
    let advice = fact.code as i32;
    match of.tail(1).madvise(advice) {
        Ok(()) => {
            // SAFETY: nothing refers to a mapping but by its address, and it may hold any bytes.
            unsafe { page.ask(name, ring, advise(of, advice)) }?;
            Ok(true)
        }
        Err(errno) => leave_out(page, fact, errno).map(|()| false),
    }
}

/// Leaves out an advice that madvise(2) refuses as well.
fn leave_out(page: &mut Page, advice: &catalog::Entry, errno: Errno) -> Result<()> {
    let is_newer = Kernel::parse(&kernel_release()).is_some_and(|here| here < advice.since);
    let seen = if is_newer { Where::NewerKernel } else { Where::OtherMachine };
    page.cannot(advice.name, format!("madvise(2) answers {errno:?} here as well"), seen)
}

/// Advice that leaves a mark on the mapping, and the advice that removes it.
fn marks(page: &mut Page, ring: &mut IoUring, memory: Mapping) -> Result<()> {
    for (advice, mark, opposite) in [
        ("RANDOM", "rr", "NORMAL"),
        ("SEQUENTIAL", "sr", "NORMAL"),
        ("DONTFORK", "dc", "DOFORK"),
        ("DONTDUMP", "dd", "DODUMP"),
        ("WIPEONFORK", "wf", "KEEPONFORK"),
        ("MERGEABLE", "mg", "UNMERGEABLE"),
        ("HUGEPAGE", "hg", "NOHUGEPAGE"),
    ] {
        if try_advice(page, ring, advice, memory)? {
            let had = memory.smaps("VmFlags")?.contains(mark);
            try_advice(page, ring, opposite, memory)?;
            let has = memory.smaps("VmFlags")?.contains(mark);
            page.saw(&format!("/proc/self/smaps had the mark {mark} in between"), had && !has)?;
        }
    }
    Ok(())
}

/// Guard pages, as between the stacks of threads.
fn guard(page: &mut Page, ring: &mut IoUring, memory: Mapping) -> Result<()> {
    if try_advice(page, ring, "GUARD_INSTALL", memory)? {
        let guarded = memory.written_to_a_pipe();
        page.saw(
            "write(2) from there is EFAULT; a load would be SIGSEGV",
            guarded == Err(Errno::EFAULT),
        )?;
        try_advice(page, ring, "GUARD_REMOVE", memory)?;
        page.saw("write(2) can read it again", memory.written_to_a_pipe().is_ok())?;
    }
    Ok(())
}

/// Pages as large as a table of pages: 2 MiB on x86-64.
fn huge_pages(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let fact = MEMORY_ADVICE.by_name("COLLAPSE").expect("an advice of the catalogue");
    let size = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    let Some(size) = size.ok().and_then(|size| size.trim().parse::<usize>().ok()) else {
        return page.cannot(fact.name, "this kernel has no huge pages", Where::OtherMachine);
    };
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let pages = 2 * size / page_size();
    let memory = Mapping::new(pages, writable, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    let to_boundary = (size - memory.start as usize % size) / page_size();
    let memory = memory.tail(pages - to_boundary).head(size / page_size());
    memory.fill(7);
    // Memory may be too scattered for it. If madvise(2) has collapsed it, the ring finds it done.
    if let Err(errno) = memory.madvise(libc::MADV_COLLAPSE) {
        return leave_out(page, fact, errno);
    }
    // SAFETY: nothing refers to the memory but by its address.
    unsafe { page.ask("COLLAPSE", ring, advise(memory, libc::MADV_COLLAPSE)) }?;
    page.saw("/proc/self/smaps counts a huge page", memory.smaps("AnonHugePages")? != "0 kB")
}

/// Only one advice frees locked pages.
fn locked(page: &mut Page, ring: &mut IoUring, memory: Mapping) -> Result<()> {
    memory.fill(7);
    // SAFETY: it changes no memory.
    if unsafe { libc::mlock(memory.start, memory.len()) } != 0 {
        let why = "RLIMIT_MEMLOCK does not allow four locked pages";
        return page.cannot("MADV_DONTNEED_LOCKED", why, Where::Root);
    }
    let dont_need = advise(memory, libc::MADV_DONTNEED);
    let why = "munlock(2) it first, or use DONTNEED_LOCKED";
    // SAFETY: nothing refers to the memory but by its address.
    unsafe { page.refused("DONTNEED of locked memory", ring, dont_need, Errno::EINVAL, why) }?;
    if try_advice(page, ring, "DONTNEED_LOCKED", memory)? {
        page.saw("it reads as zeros", memory.first_byte() == 0)?;
    }
    // SAFETY: it changes no memory.
    Ok(Errno::result(unsafe { libc::munlock(memory.start, memory.len()) }).map(drop)?)
}

fn mistakes(page: &mut Page, ring: &mut IoUring, private: Mapping, shared: Mapping) -> Result<()> {
    let hole = Mapping::new(3, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    // SAFETY: nothing refers to that page.
    Errno::result(unsafe { libc::munmap(hole.tail(2).start, page_size()) })?;
    let inside = private.start.wrapping_byte_add(1);
    let unaligned = opcode::Madvise::new(inside, 1, libc::MADV_DONTNEED).build();
    for (asked, entry, errno, why) in [
        (
            "DONTNEED from a page's second byte on",
            unaligned,
            Errno::EINVAL,
            "the address must be the start of a page",
        ),
        (
            "FREE of a file's memory",
            advise(shared, libc::MADV_FREE),
            Errno::EINVAL,
            "only private memory can be dropped so",
        ),
        (
            "DONTNEED over a hole",
            advise(hole, libc::MADV_DONTNEED),
            Errno::ENOMEM,
            "a page is not mapped",
        ),
        ("MADVISE with advice 99", advise(private, 99), Errno::EINVAL, "no such advice"),
    ] {
        // SAFETY: nothing refers to the mappings but by their addresses.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

fn advise(memory: Mapping, advice: i32) -> squeue::Entry {
    opcode::Madvise::new(memory.start, memory.len() as i64, advice).build()
}
