//! The threads of a process, as `/proc` shows them.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use libc::pid_t;

use super::syscalls::{self, Call};

/// A thread of the program.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its number.
    pub tid: pid_t,
    /// It sleeps in the kernel; one that only waits for a CPU does not.
    pub asleep: bool,
    /// A signal or its tracer has stopped it.
    pub stopped: bool,
    /// The CPU time that it has taken.
    pub cpu: Duration,
    /// The call that it is in, by its name; `None` if it runs.
    pub call: Option<String>,
}

/// The CPU time that a process has taken, but for the threads that the kernel made for it.
pub fn cpu(pid: u32) -> Duration {
    threads(pid).iter().map(|thread| thread.cpu).sum()
}

/// Whether all threads of a process sleep at this moment; those that the kernel made do not count.
pub fn sleeps(pid: u32) -> bool {
    threads(pid).iter().all(|thread| thread.asleep)
}

/// The threads of a process that live, but for those that the kernel made for its rings
/// (`iou-sqp-…`, `iou-wrk-…`).
pub fn threads(pid: u32) -> Vec<Thread> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|task| thread(&task.path())).collect()
}

fn thread(task: &Path) -> Option<Thread> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    // The name is in parentheses and may hold any character.
    let (name, fields) = stat.rsplit_once(") ")?;
    let has_ended = fields.starts_with(['Z', 'X']);
    if has_ended || name.contains("(iou-") {
        return None;
    }
    let field = |nth: usize| -> u64 {
        fields.split(' ').nth(nth).and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let call = fs::read_to_string(task.join("syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    let name = |number| syscalls::name(&Call { number, args: [0; 6], native: true }).into_owned();
    Some(Thread {
        tid: task.file_name()?.to_str()?.parse().ok()?,
        asleep: fields.starts_with(['S', 'D']),
        stopped: fields.starts_with(['T', 't']),
        // In ticks of USER_HZ, which is 100 on every architecture that this runs on.
        cpu: Duration::from_millis((field(11) + field(12)) * 10),
        call: number.map(name),
    })
}

/// The call that these threads sleep in; one that waits for another thread does not count, if
/// there is a better answer. `None` if one of its threads runs.
pub(crate) fn sleeps_in(threads: &[Thread]) -> Option<String> {
    if threads.iter().any(|thread| !thread.asleep || thread.call.is_none()) {
        return None;
    }
    let calls = || threads.iter().filter_map(|thread| thread.call.as_deref());
    calls().find(|call| *call != "futex").or_else(|| calls().next()).map(str::to_string)
}

/// What `/proc` says of a thread, one line for each field.
pub(crate) fn status(tid: pid_t, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_string())
}

/// How often the thread has left its CPU so far. The number stays the same while it sleeps.
pub(crate) fn switches(tid: pid_t) -> u64 {
    let count = |field| status(tid, field).and_then(|value| value.parse::<u64>().ok());
    let fields = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];
    fields.into_iter().filter_map(count).sum()
}

/// The system call that a thread sleeps in: its number and arguments, and where its stack ends.
pub(crate) fn call_of(tid: pid_t) -> Option<(u64, [u64; 6], u64)> {
    let text = fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut values = [0; 7];
    for (value, word) in values.iter_mut().zip(words) {
        *value = u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
    }
    let [args @ .., stack] = values;
    Some((number, args, stack))
}

/// The numbers of the threads of a process, without those that the kernel runs for it.
pub(crate) fn tids(process: pid_t) -> Vec<pid_t> {
    let Ok(folder) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let tids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    tids.filter(|tid| !is_the_kernels(*tid)).collect()
}

/// Whether a thread is a worker or a poller of io_uring. Seizing it would end its operations with a
/// result that no program expects.
fn is_the_kernels(tid: pid_t) -> bool {
    /// `PF_IO_WORKER` and `PF_USER_WORKER` of the kernel's `linux/sched.h`.
    const WORKERS: u64 = 0x10 | 0x4000;
    let Ok(stat) = fs::read_to_string(format!("/proc/{tid}/stat")) else { return false };
    // After the name, which may hold anything, `proc_pid_stat(5)` counts from 3; the flags are 9.
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(9 - 3));
    flags.and_then(|flags| flags.parse::<u64>().ok()).is_some_and(|flags| flags & WORKERS != 0)
}

/// The stack of a process's first thread; `None` for another one.
pub(crate) fn main_stack(tid: pid_t) -> Option<Range<u64>> {
    let maps = fs::read_to_string(format!("/proc/{tid}/maps")).ok()?;
    let line = maps.lines().find(|line| line.ends_with("[stack]"))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some(number(start)?..number(end)?)
}

/// How many threads the kernel has made to work for a process's rings (`iou-wrk-…`).
pub(crate) fn workers(pid: u32) -> usize {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let names =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("iou-wrk")).count()
}

/// The CPU time of the threads that poll a process's rings (`iou-sqp-…`).
pub(crate) fn poller_cpu(pid: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let ticks = |task: fs::DirEntry| -> Option<u64> {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, fields) = stat.rsplit_once(") ")?;
        let field = |nth: usize| fields.split(' ').nth(nth)?.parse::<u64>().ok();
        name.contains("(iou-sqp").then_some(field(11)? + field(12)?)
    };
    Duration::from_millis(tasks.flatten().filter_map(ticks).sum::<u64>() * 10)
}
