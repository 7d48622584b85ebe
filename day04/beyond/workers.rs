//! The kernel's threads that work for this process, as `/proc` shows them to its own user.

use std::fs;
use std::path::PathBuf;

use nix::unistd::gettid;

/// How many workers the calling thread has. They are threads of its own process, named after it.
pub fn count() -> usize {
    cpu_times(&format!("iou-wrk-{}\n", gettid())).len()
}

/// The CPU times, in nanoseconds, of the threads of this process whose name begins so.
pub fn cpu_times(prefix: &str) -> Vec<u64> {
    let Ok(folder) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let time = |task: PathBuf| {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        name.starts_with(prefix).then(|| cpu_time(task))?
    };
    folder.flatten().filter_map(|entry| time(entry.path())).collect()
}

/// The CPU time, in nanoseconds, of a thread: the first number of its `schedstat`.
pub fn cpu_time(task: PathBuf) -> Option<u64> {
    let times = fs::read_to_string(task.join("schedstat")).ok()?;
    times.split(' ').next()?.parse().ok()
}
