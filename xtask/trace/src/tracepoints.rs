//! Where requests ran by the kernel's own record: its tracepoints, which only root may read.
//!
//! They are read in a folder of our own under tracefs (an instance), so that other tracing is not
//! disturbed, and only for the rings that are followed. The folder is removed when the trace ends;
//! a folder that a killed tracer left is removed at the next start.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::environment::Refusal;
use libc::pid_t;

use super::ran::Place;

/// Where tracefs is mounted, today and on older systems.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// How the name of each instance begins; the tracer's process follows.
const OURS: &str = "ringtrace-";
const EVENTS: [&str; 7] = [
    "io_uring_create",
    "io_uring_submit_req",
    "io_uring_req_failed",
    "io_uring_poll_arm",
    "io_uring_queue_async_work",
    "io_uring_task_add",
    "io_uring_complete",
];

/// The kernel's address of a ring: its name in the record.
pub type Address = u64;

/// The record of the rings that are followed.
#[derive(Debug)]
pub struct Tracepoints {
    folder: PathBuf,
    pipe: Option<File>,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// Rings that were made and not yet looked up, by thread and descriptor.
    made: HashMap<(pid_t, i32), Address>,
    rings: HashMap<Address, Requests>,
    /// The kernel dropped records: the counts are no longer exact.
    lost: bool,
}

/// The requests of one ring.
#[derive(Debug, Default)]
struct Requests {
    /// How many there were so far.
    count: u64,
    /// Those that were not answered yet, by number.
    open: HashMap<u64, Request>,
    /// Which number has a place in the kernel's memory.
    at: HashMap<Address, u64>,
}

#[derive(Debug)]
struct Request {
    user_data: u64,
    /// Where the kernel put it last: `Polled` or `Worker`, or `Inline` if neither.
    place: Place,
    /// Where it was at each of its completions.
    completions: VecDeque<Place>,
}

impl Tracepoints {
    /// Begins to record.
    ///
    /// # Errors
    /// A [`Refusal`] if tracefs is not there, or not for this user.
    pub fn begin() -> Result<Tracepoints, Refusal> {
        let instances = TRACEFS.map(|root| Path::new(root).join("instances"));
        let [first, second] = instances;
        let instances = if second.is_dir() && !first.is_dir() { second } else { first };
        remove_old_ones(&instances);
        static NTH: AtomicU32 = AtomicU32::new(0);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let name = format!("{OURS}{}-{nth}", std::process::id());
        let mut record = Tracepoints {
            folder: instances.join(name),
            pipe: None,
            begun: Vec::new(),
            made: HashMap::new(),
            rings: HashMap::new(),
            lost: false,
        };
        match fs::create_dir(&record.folder).and_then(|()| record.start()) {
            Ok(()) => Ok(record),
            Err(error) => Err(Refusal {
                what: format!("the kernel's tracepoints cannot be read: {error}"),
                why: format!(
                    "only root may read them, and tracefs must be mounted ({})",
                    TRACEFS[0]
                ),
                remedy: "run as root, or without --tracepoints: ringtrace then concludes where \
                 operations ran"
                    .to_string(),
            }),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        fs::write(self.folder.join("buffer_size_kb"), "8192")?;
        // The default clock differs from one CPU to the other.
        fs::write(self.folder.join("trace_clock"), "mono")?;
        // The filters need the addresses as they are, and not hashed.
        fs::write(self.folder.join("options/hash-ptr"), "0")?;
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(self.folder.join("trace_pipe"))?;
        self.pipe = Some(pipe);
        self.filter()?;
        for event in EVENTS {
            fs::write(self.event(event).join("enable"), "1")?;
        }
        Ok(())
    }

    /// A ring was just made, and has not been used: its requests are recorded from here on.
    pub fn follow(&mut self, tid: pid_t, fd: i32) -> Option<Address> {
        self.read();
        let ring = self.made.remove(&(tid, fd))?;
        self.rings.insert(ring, Requests::default());
        self.made.clear();
        self.filter().ok()?;
        Some(ring)
    }

    /// A ring is no longer followed.
    pub fn forget(&mut self, ring: Address) {
        self.rings.remove(&ring);
        let _ = self.filter();
    }

    fn filter(&self) -> io::Result<()> {
        let rings: Vec<String> =
            self.rings.keys().map(|ring| format!("ctx == {ring:#x}")).collect();
        // Without a ring, filter for an address that does not exist. With too many rings, take the
        // records of all.
        let filter = match rings.len() {
            0 => "ctx == 1".to_string(),
            1..100 => rings.join(" || "),
            _ => "0".to_string(),
        };
        for event in &EVENTS[1..] {
            fs::write(self.event(event).join("filter"), &filter)?;
        }
        Ok(())
    }

    fn event(&self, event: &str) -> PathBuf {
        self.folder.join("events/io_uring").join(event)
    }

    /// Where a request ran that has been answered: the one of this number in its ring, the first is
    /// number 1. It is `Polled` or `Worker`; anything else is `Inline`, since the kernel does not record
    /// that a device or a timer finished it. `last` says that no more answers will come.
    pub fn ran(&mut self, ring: Address, number: u64, user_data: u64, last: bool) -> Option<Place> {
        if self.lost {
            return None;
        }
        let requests = self.rings.get_mut(&ring)?;
        let request = requests.open.get_mut(&number).filter(|it| it.user_data == user_data)?;
        let place = request.completions.pop_front().unwrap_or(request.place);
        if last {
            requests.open.remove(&number);
        }
        Some(place)
    }

    /// Reads what the kernel has recorded by now.
    pub fn read(&mut self) {
        let mut bytes = [0; 1 << 14];
        while let Some(Ok(count @ 1..)) = self.pipe.as_mut().map(|pipe| pipe.read(&mut bytes)) {
            self.begun.extend_from_slice(&bytes[..count]);
            let mut text = std::mem::take(&mut self.begun);
            let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            self.begun = text.split_off(end);
            for line in String::from_utf8_lossy(&text).lines() {
                self.line(line);
            }
        }
    }

    /// `name-TID [CPU] flags time: io_uring_EVENT: ring ADDRESS, req ADDRESS, …`, where the
    /// name can be anything.
    fn line(&mut self, line: &str) {
        self.lost |= line.starts_with("CPU:") && line.contains("LOST");
        let Some((head, what)) = line.rsplit_once(": io_uring_") else { return };
        let Some((event, fields)) = what.split_once(": ") else { return };
        let Some(ring) = number(fields, "ring ") else { return };
        if event == "create" {
            let task = head.rsplit_once(" [").and_then(|(task, _)| task.trim().rsplit_once('-'));
            let tid = task.and_then(|(_, tid)| tid.parse().ok());
            let fd = fields.split_once("fd ").and_then(|(_, rest)| rest.split(' ').next());
            if let (Some(tid), Some(Ok(fd))) = (tid, fd.map(str::parse)) {
                self.made.insert((tid, fd), ring);
            }
            return;
        }
        let request = number(fields, "req ").or_else(|| number(fields, "request "));
        let user_data = number(fields, "user_data ");
        if let (Some(requests), Some(request), Some(user_data)) =
            (self.rings.get_mut(&ring), request, user_data)
        {
            requests.event(event, request, user_data);
        }
    }
}

impl Requests {
    fn event(&mut self, event: &str, request: Address, user_data: u64) {
        if event == "submit_req" || event == "req_failed" {
            self.count += 1;
            // What was in the same place before was answered, or will not answer.
            if let Some(before) = self.at.insert(request, self.count) {
                if self.open.get(&before).is_some_and(|it| it.completions.is_empty()) {
                    self.open.remove(&before);
                }
            }
            let (place, completions) = (Place::Inline, VecDeque::new());
            self.open.insert(self.count, Request { user_data, place, completions });
            return;
        }
        // An answer of a multishot names its ring only.
        let number = match request {
            0 => self.open.iter().find(|(_, it)| it.user_data == user_data).map(|(nth, _)| *nth),
            _ => self.at.get(&request).copied(),
        };
        let Some(request) = number.and_then(|number| self.open.get_mut(&number)) else { return };
        match event {
            // The second event comes when a poll is woken, and is the only one of POLL_ADD.
            "poll_arm" | "task_add" => request.place = Place::Polled,
            "queue_async_work" => request.place = Place::Worker,
            "complete" => request.completions.push_back(request.place),
            _ => {}
        }
    }
}

impl Drop for Tracepoints {
    fn drop(&mut self) {
        self.pipe = None;
        // A child that another thread of ours forks holds the pipe until its exec.
        testkit::holds_within(Duration::from_millis(200), || {
            fs::remove_dir(&self.folder).is_ok() || !self.folder.exists()
        });
    }
}

/// Removes the folders of tracers that were killed.
fn remove_old_ones(instances: &Path) {
    for folder in fs::read_dir(instances).into_iter().flatten().filter_map(Result::ok) {
        let name = folder.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(OURS)?.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(folder.path());
        }
    }
}

/// The hexadecimal number behind a word.
fn number(fields: &str, word: &str) -> Option<u64> {
    let (_, rest) = fields.split_once(word)?;
    let digits = rest.split([',', ' ']).next()?;
    if digits == "(null)" {
        return Some(0);
    }
    u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record without a source.
    fn record(lines: &str) -> Tracepoints {
        let mut record = Tracepoints {
            folder: PathBuf::new(),
            pipe: None,
            begun: Vec::new(),
            made: HashMap::new(),
            rings: HashMap::from([(0xffff_8881_0000_0000, Requests::default())]),
            lost: false,
        };
        for line in lines.lines() {
            record.line(line);
        }
        record
    }

    #[test]
    fn a_ring_that_was_made() {
        let record = record(
            "   a b: io_urin-1203    [001] ..... 77.1: io_uring_create: ring ffff888100000001, \
             fd 3 sq size 4, cq size 8, flags 0x0",
        );
        assert_eq!(record.made, HashMap::from([((1203, 3), 0xffff_8881_0000_0001)]));
    }

    #[test]
    fn a_request_ran_where_it_was_put_last() {
        let ring = 0xffff_8881_0000_0000;
        let mut record = record(
            "x-1 [000] ..... 1.1: io_uring_submit_req: ring ffff888100000000, req ffff888200000000, \
             user_data 0x5, opcode RECV, flags 0x0, sq_thread 0\n\
             x-1 [000] ..... 1.2: io_uring_submit_req: ring ffff888100000000, req ffff888200000100, \
             user_data 0x6, opcode NOP, flags 0x0, sq_thread 0\n\
             x-1 [000] ..... 1.2: io_uring_complete: ring ffff888100000000, req ffff888200000100, \
             user_data 0x6, result 0, cflags 0x0 extra1 0 extra2 0 \n\
             x-1 [000] ..... 1.3: io_uring_complete: ring ffff888100000000, req 0000000000000000, \
             user_data 0x5, result 1, cflags 0x2 extra1 0 extra2 0 \n\
             x-1 [000] ..... 1.3: io_uring_poll_arm: ring ffff888100000000, req ffff888200000000, \
             user_data 0x5, opcode RECV, mask 0x0, events 0x41\n\
             x-1 [000] ..... 1.4: io_uring_complete: ring ffff888100000000, req ffff888200000000, \
             user_data 0x5, result 1, cflags 0x0 extra1 0 extra2 0 ",
        );
        assert_eq!(record.ran(ring, 2, 6, true), Some(Place::Inline));
        assert_eq!(record.ran(ring, 1, 5, false), Some(Place::Inline), "its first answer");
        assert_eq!(record.ran(ring, 1, 5, true), Some(Place::Polled));
        assert_eq!(record.ran(ring, 1, 5, true), None);
        assert_eq!(record.ran(ring, 3, 5, true), None);
    }
}
