//! What `/proc` shows of this process and its rings: the second way to see an effect.

use std::fs;
use std::os::fd::AsRawFd;
use std::thread;

use anyhow::Result;

/// A line of a ring's `/proc/self/fdinfo`, such as `CqMask`. `None` if the kernel has no such line.
pub fn fdinfo(ring: &impl AsRawFd, name: &str) -> Result<Option<String>> {
    line(&format!("/proc/self/fdinfo/{}", ring.as_raw_fd()), name)
}

/// The poller of a ring, or `None` if this kernel does not name it.
///
/// Up to Linux 6.1 the poller of a ring is named only while it sleeps: this waits for that.
pub fn poller(ring: &impl AsRawFd) -> Result<Option<i32>> {
    loop {
        match fdinfo(ring, "SqThread")?.map(|thread| thread.parse()).transpose()? {
            Some(..=0) => thread::yield_now(),
            thread => return Ok(thread),
        }
    }
}

/// The threads of this process whose name begins with `prefix`: the kernel's own are called
/// `iou-sqp-…` (a poller) and `iou-wrk-…` (a worker), with the number of the thread they serve.
pub fn threads(prefix: &str) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let path = entry?.path();
        // A thread may end between the two.
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<i32>().ok());
        found.extend(number.filter(|_| name.starts_with(prefix)));
    }
    Ok(found)
}

/// A line of a thread's `/proc/self/task/THREAD/status`, such as `Cpus_allowed_list`.
pub fn status(thread: i32, name: &str) -> Result<Option<String>> {
    line(&format!("/proc/self/task/{thread}/status"), name)
}

/// The text behind `name:` in a file.
fn line(path: &str, name: &str) -> Result<Option<String>> {
    let text = fs::read_to_string(path)?;
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_string());
    Ok(text.lines().find_map(value))
}

/// How much memory of rings this process has mapped, in bytes.
pub fn mapped_rings() -> Result<usize> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let size = |line: &str| {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some(number(to)? - number(from)?)
    };
    Ok(maps.lines().filter(|line| line.ends_with("[io_uring]")).filter_map(size).sum())
}

/// How many descriptors this process has.
pub fn descriptors() -> Result<usize> {
    // One of them is for reading the folder.
    Ok(fs::read_dir("/proc/self/fd")?.count() - 1)
}

/// The workers of this thread: the kernel names them by the thread's number.
pub fn workers_of_this_thread() -> Result<Vec<i32>> {
    threads(&format!("iou-wrk-{}", nix::unistd::gettid()))
}

/// `CAP_NET_ADMIN` and `CAP_IPC_LOCK`, from `linux/capability.h`.
pub const CAP_NET_ADMIN: u32 = 12;
pub const CAP_IPC_LOCK: u32 = 14;

/// Whether this thread has a capability.
pub fn has_capability(capability: u32) -> Result<bool> {
    let effective = status(nix::unistd::gettid().as_raw(), "CapEff")?.unwrap_or_default();
    Ok(u64::from_str_radix(&effective, 16)? & 1 << capability != 0)
}

/// The user without files: `nobody`.
pub const NOBODY: u32 = 65534;

/// Makes this thread, and no other, open files as that user, if it may. Returns the user as whom it
/// opened them before.
pub fn open_files_as(user: u32) -> u32 {
    // SAFETY: the call takes no memory.
    unsafe { libc::setfsuid(user) as u32 }
}
