//! The kernel's worker threads (io-wq) of a process, as `/proc` shows them to its own user.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use libc::pid_t;

/// The workers of one process.
#[derive(Debug, Default)]
pub struct Workers {
    /// The link count of `/proc/PID/task` at the last look: it counts the threads.
    threads: u64,
    /// By thread: its `schedstat`, and how often it had run at the last look.
    known: BTreeMap<pid_t, (File, u64)>,
    /// The threads that poll a ring; one may live on for a moment when its ring is closed.
    pollers: BTreeSet<pid_t>,
}

/// Workers that began or ended since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Those that began.
    pub new: Vec<pid_t>,
    /// How many ended.
    pub ended: usize,
    /// How many there are now.
    pub count: usize,
}

impl Workers {
    /// Looks whether workers began or ended. `pollers` finds the threads that poll a ring, which
    /// look the same; `None` if that cannot be known yet.
    pub fn look(
        &mut self,
        process: pid_t,
        pollers: impl FnOnce() -> Option<Vec<pid_t>>,
    ) -> Option<Change> {
        let folder = format!("/proc/{process}/task");
        let threads = fs::metadata(&folder).ok()?.nlink();
        if threads == self.threads {
            return None;
        }
        self.pollers.extend(pollers()?);
        self.threads = threads;
        let names = fs::read_dir(&folder).ok()?.filter_map(Result::ok);
        let tids: Vec<pid_t> =
            names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        self.pollers.retain(|tid| tids.contains(tid));
        let before = self.known.len();
        self.known.retain(|tid, _| tids.contains(tid));
        let ended = before - self.known.len();
        let mut new = Vec::new();
        for tid in tids {
            let known = self.known.contains_key(&tid) || self.pollers.contains(&tid);
            if !known && is_the_kernels(process, tid) {
                let Ok(runs) = File::open(format!("/proc/{process}/task/{tid}/schedstat")) else {
                    continue;
                };
                // It began a piece of work that may be done already.
                self.known.insert(tid, (runs, 0));
                new.push(tid);
            }
        }
        new.sort_unstable();
        let count = self.known.len();
        (ended > 0 || !new.is_empty()).then_some(Change { new, ended, count })
    }

    /// Whether no worker is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether any of them has run since this was last asked.
    pub fn ran(&mut self) -> bool {
        let mut any = false;
        for (schedstat, before) in self.known.values_mut() {
            let runs = runs(schedstat).unwrap_or(*before);
            any |= runs != *before;
            *before = runs;
        }
        any
    }
}

/// How often a task was put on a CPU: the third number of its `schedstat`.
pub fn runs(schedstat: &File) -> Option<u64> {
    let mut text = [0; 64];
    let length = schedstat.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.split_whitespace().nth(2)?.parse().ok()
}

/// Whether a thread is the kernel's: by a flag that no program can give its own threads
/// (`PF_IO_WORKER`, field 9 in `proc_pid_stat(5)`). Its name says that only once it has run.
pub fn is_the_kernels(process: pid_t, tid: pid_t) -> bool {
    const PF_IO_WORKER: u32 = 0x10;
    let stat = fs::read_to_string(format!("/proc/{process}/task/{tid}/stat")).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let flags = fields.split(' ').nth(9 - 3).and_then(|flags| flags.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_IO_WORKER != 0)
}
