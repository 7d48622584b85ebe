//! A running day in `/proc` (proc(5)).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::wait::POLL;

/// How many descriptors the process has open. Direct slots are not among them.
///
/// # Errors
/// If the process is gone, or is another user's.
pub fn open_fds(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// The descriptors that the process has open, and what each one refers to: a path, or words such as
/// `socket:[81]`.
///
/// # Errors
/// As [`open_fds`].
pub fn descriptors(pid: u32) -> io::Result<BTreeMap<i32, String>> {
    let mut descriptors = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // One can be closed between the listing and this.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let number = entry.file_name().to_string_lossy().parse().map_err(io::Error::other)?;
        descriptors.insert(number, target.to_string_lossy().into_owned());
    }
    Ok(descriptors)
}

/// Whether the kernel has started a worker thread for one of the process's rings
/// (`iou-wrk-PID`).
///
/// # Errors
/// As [`open_fds`].
pub fn has_worker(pid: u32) -> io::Result<bool> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?;
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
    Ok(threads.flatten().filter_map(name).any(|name| name.starts_with("iou-wrk-")))
}

/// Whether the process is stopped, as by SIGSTOP.
pub(super) fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it is in parentheses, and may hold any character.
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
}

/// The memory of the process that is in RAM (`VmRSS`), in KiB.
///
/// # Errors
/// If the process is gone.
pub fn resident_kib(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    rss(&status).ok_or_else(|| io::Error::other(format!("process {pid} has no VmRSS")))
}

fn rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The slots of the process's registered file table that are taken, in order; of all its
/// rings, if it has several.
///
/// The kernel leaves the table out of the answer while the ring is busy. Then this asks
/// again, and gives up after a while.
///
/// # Errors
/// If the process is gone, is another user's, has no ring, or its ring stays busy.
pub fn ring_slots(pid: u32) -> io::Result<Vec<u32>> {
    of_its_rings(pid, user_files)
}

/// The codes of the operations that wait in the process's rings for something to happen, in
/// order: armed accepts and receives, the read of a signal.
///
/// # Errors
/// As [`ring_slots`].
pub fn ring_operations(pid: u32) -> io::Result<Vec<u32>> {
    of_its_rings(pid, poll_list)
}

/// What `part` finds in the fdinfo of each ring, sorted.
fn of_its_rings(pid: u32, part: fn(&str) -> Option<Vec<u32>>) -> io::Result<Vec<u32>> {
    for _ in 0..1000 {
        if let Some(found) = unless_busy(pid, part)? {
            return Ok(found);
        }
        std::thread::sleep(POLL);
    }
    Err(io::Error::other(format!("the ring of process {pid} is never at rest")))
}

fn unless_busy(pid: u32, part: fn(&str) -> Option<Vec<u32>>) -> io::Result<Option<Vec<u32>>> {
    let mut rings = 0;
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // A descriptor can be closed between the listing and this.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if target != Path::new("anon_inode:[io_uring]") {
            continue;
        }
        let fd = entry.file_name();
        match fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", fd.to_string_lossy())) {
            Ok(info) => match part(&info) {
                Some(found) => {
                    rings += 1;
                    all.extend(found);
                }
                None => return Ok(None),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
    }
    if rings == 0 {
        return Err(io::Error::other(format!("process {pid} has no ring")));
    }
    all.sort_unstable();
    Ok(Some(all))
}

/// The taken slots in a ring's fdinfo (`io_uring/fdinfo.c` in the kernel): after a line
/// `UserFiles: N`, one line `INDEX: WHAT` for each file. Older kernels list the empty slots
/// too, as `<none>`. `None` if the section is missing.
fn user_files(info: &str) -> Option<Vec<u32>> {
    let mut lines = info.lines().skip_while(|line| !line.starts_with("UserFiles:"));
    lines.next()?;
    let entries = lines.map_while(|line| {
        let (index, what) = line.split_once(':')?;
        Some((index.trim().parse().ok()?, what.trim()))
    });
    Some(entries.filter(|(_, what)| *what != "<none>").map(|(index, _)| index).collect())
}

/// The operations in a ring's fdinfo that wait on a poll: after a line `PollList:`, one line
/// `op=CODE, task_works=N` for each. `None` if the section is missing.
pub fn poll_list(info: &str) -> Option<Vec<u32>> {
    let mut lines = info.lines().skip_while(|line| !line.starts_with("PollList:"));
    lines.next()?;
    let code = |line: &str| line.trim().strip_prefix("op=")?.split(',').next()?.parse().ok();
    Some(lines.map_while(code).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;
    use common::ring::{RingOptions, SetupFlags, build};

    #[test]
    fn the_table_of_an_old_kernel_lists_empty_slots() {
        let info = "pos:\t0\nSqMask:\t0x7\nUserFiles:\t3\n    0: <none>\n    1: socket:[81]\n    \
                    2: <none>\nUserBufs:\t1\n    0: 0x7f00/4096\nPollList:\n";
        assert_eq!(user_files(info), Some(vec![1]));
    }

    #[test]
    fn the_table_of_a_new_kernel_lists_only_taken_slots() {
        let info = "SqThread:\t-1\nUserFiles:\t64\n    0: socket:[81]\n   12: /etc/passwd\n\
                    UserBufs:\t0\nPollList:\n  op=13, task_works=0\n";
        assert_eq!(user_files(info), Some(vec![0, 12]));
        assert_eq!(poll_list(info), Some(vec![13]));
    }

    #[test]
    fn a_busy_ring_has_no_table() {
        assert_eq!(user_files("pos:\t0\nflags:\t02000002\n"), None);
        assert_eq!(poll_list("pos:\t0\nflags:\t02000002\n"), None);
    }

    #[test]
    fn this_kernel_tells_the_slots_of_a_real_ring() {
        if !crate::io_uring_or_skip("this_kernel_tells_the_slots_of_a_real_ring") {
            return;
        }
        let ring = build(&RingOptions::default(), 2, SetupFlags::default()).unwrap();
        let file = File::open("/proc/self/status").unwrap();
        // A table with holes, as kernels before the sparse one have it (5.10).
        let table = [-1, file.as_raw_fd(), -1, file.as_raw_fd()];
        ring.submitter().register_files(&table).unwrap();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", ring.as_raw_fd()));
        assert_eq!(user_files(&info.unwrap()), Some(vec![1, 3]));
        // Other tests of this process may have rings at this moment.
        let slots = ring_slots(std::process::id()).unwrap();
        assert!(slots.contains(&1) && slots.contains(&3), "{slots:?}");
    }

    #[test]
    fn memory_and_descriptors_of_this_process() {
        let pid = std::process::id();
        assert!(resident_kib(pid).unwrap() > 0);
        assert!(open_fds(pid).unwrap() >= 3);
        let file = File::open("/proc/self/stat").unwrap();
        let target = descriptors(pid).unwrap()[&file.as_raw_fd()].clone();
        assert!(target.ends_with("/stat"), "{target}");
        assert!(!is_stopped(pid));
        assert_eq!(rss("Name:\tday04\nVmRSS:\t    5120 kB\n"), Some(5120));
    }
}
