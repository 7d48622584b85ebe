//! OPENAT2: open a file with rules for how its path resolves.
//!
//! Since 5.6. Stands for openat2(2); liburing: `io_uring_prep_openat2`,
//! `io_uring_prep_openat2_direct`; crate: `opcode::OpenAt2`.
//! Takes a directory's descriptor, a path and a `struct open_how` with flags, mode and `RESOLVE_*`.
//! Returns what OPENAT returns, and opens into slots in the same way.
//! The rules hold for every step of the path, symbolic links included: for servers whose paths
//! come from clients. What OPENAT ignores, such as a flag that no kernel knows, this one refuses.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::symlink;

use atlas::{Entry, Page, Result};
use io_uring::types::{Fd, OpenHow};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_OPENAT2",
        "RESOLVE_BENEATH",
        "RESOLVE_IN_ROOT",
        "RESOLVE_NO_SYMLINKS",
        "RESOLVE_NO_MAGICLINKS",
        "RESOLVE_NO_XDEV",
        "RESOLVE_CACHED",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    fs::write(path.join("inside"), "public")?;
    symlink("/proc/version", path.join("out"))?;
    symlink("inside", path.join("link"))?;
    let at = Fd(folder.as_raw_fd());
    let how = OpenHow::new().resolve(libc::RESOLVE_IN_ROOT);
    let in_root = opcode::OpenAt2::new(at, c"/inside".as_ptr(), &how).build();
    // SAFETY: the path is part of the program, and `how` outlives the call.
    let answer = unsafe { page.ask("IN_ROOT: OPENAT2 of /inside", &mut ring, in_root) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let mut file = unsafe { File::from_raw_fd(answer.result) };
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    page.saw("it is the folder's file, not one of /", text == "public")?;
    rules(page, &mut ring, at)?;
    cached(page, &mut ring, at)?;
    mistakes(page, &mut ring, at)
}
// ANCHOR_END: show

fn rules(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    for (asked, path, resolve, errno, why) in [
        (
            "BENEATH: OPENAT2 of ../..",
            c"../..",
            libc::RESOLVE_BENEATH,
            Errno::EXDEV,
            "it leads above the folder",
        ),
        (
            "BENEATH: OPENAT2 of /inside",
            c"/inside",
            libc::RESOLVE_BENEATH,
            Errno::EXDEV,
            "an absolute path begins outside: use IN_ROOT",
        ),
        (
            "BENEATH: OPENAT2 of out, a link",
            c"out",
            libc::RESOLVE_BENEATH,
            Errno::EXDEV,
            "a link that leads out",
        ),
        (
            "IN_ROOT: OPENAT2 of out",
            c"out",
            libc::RESOLVE_IN_ROOT,
            Errno::ENOENT,
            "/proc/version is looked for in the folder",
        ),
        (
            "NO_SYMLINKS: OPENAT2 of link",
            c"link",
            libc::RESOLVE_NO_SYMLINKS,
            Errno::ELOOP,
            "a symbolic link is on the way",
        ),
        (
            "NO_MAGICLINKS: OPENAT2 of /proc/self/exe",
            c"/proc/self/exe",
            libc::RESOLVE_NO_MAGICLINKS,
            Errno::ELOOP,
            "that link leads to a file, not to a path",
        ),
        (
            "NO_XDEV: OPENAT2 of out",
            c"out",
            libc::RESOLVE_NO_XDEV,
            Errno::EXDEV,
            "/proc is another mount",
        ),
    ] {
        let how = OpenHow::new().resolve(resolve);
        let entry = opcode::OpenAt2::new(at, path.as_ptr(), &how).build();
        // SAFETY: the path is part of the program, and `how` outlives the call.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// A server that must not wait for a disk asks for what is in the cache, and opens the rest in a
/// worker.
fn cached(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let how = OpenHow::new().resolve(libc::RESOLVE_CACHED);
    let open = |path: &'static CStr| opcode::OpenAt2::new(at, path.as_ptr(), &how).build();
    let asked = "CACHED: OPENAT2 of inside";
    // SAFETY: here and below, the path is part of the program, and `how` outlives the call.
    let known = unsafe { page.ask_since("RESOLVE_CACHED", asked, ring, open(c"inside")) }?;
    if known.is_some() {
        let (asked, why) = ("CACHED: OPENAT2 of new", "that name is not in the cache");
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, open(c"new"), Errno::EAGAIN, why) }?;
    }
    Ok(())
}

fn mistakes(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let two_rules = libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT;
    for (asked, how, why) in [
        ("OPENAT2 with a mode", OpenHow::new().mode(0o600), "a mode needs O_CREAT or O_TMPFILE"),
        (
            "OPENAT2 with flag 1 << 30",
            OpenHow::new().flags(1 << 30),
            "no such flag; OPENAT would ignore it",
        ),
        (
            "OPENAT2, BENEATH and IN_ROOT",
            OpenHow::new().resolve(two_rules),
            "they exclude each other",
        ),
    ] {
        let entry = opcode::OpenAt2::new(at, c"inside".as_ptr(), &how).build();
        // SAFETY: the path is part of the program, and `how` outlives the call.
        unsafe { page.refused(asked, ring, entry, Errno::EINVAL, why) }?;
    }
    Ok(())
}
