//! Where an operation ran. From outside the kernel that can be seen only in part; the rest
//! follows from how the kernel treats an operation, and from the order of completions.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use libc::pid_t;
use serde::{Deserialize, Serialize};

use super::codes::{op, sqe};
use super::decode::Entry;

/// Where an operation ran, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ran {
    /// Where the operation ran, or what it waited for; absent if it did not run (it was
    /// cancelled as a part of a chain), or if that is not known.
    #[serde(rename = "ran")]
    pub place: Place,
    /// How that is known.
    #[serde(rename = "ran_known")]
    pub known: Known,
}

/// Where an operation ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At once, inside the enter that submitted it.
    Inline,
    /// At once, in the kernel thread that polls the ring for entries (SQPOLL).
    Poller,
    /// When its file was ready: until then it was armed, and no thread waited.
    Polled,
    /// In a thread of the kernel's worker pool (io-wq).
    Worker,
    /// When a device had done its part: a disk, for example.
    Device,
    /// When its time had come.
    Timer,
    /// When something else had happened: a futex was woken, a child ended.
    Event,
}

/// How it is known where an operation ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Concluded: from the operation and its file, and from the order of completions.
    Concluded,
    /// Seen from outside: it was done when an enter returned that had not slept, or the
    /// kernel listed it as armed.
    Seen,
    /// The kernel's tracepoints say so.
    Exact,
}

impl Place {
    /// Its name, as in the JSON output.
    pub fn name(self) -> &'static str {
        match self {
            Place::Inline => "inline",
            Place::Poller => "poller",
            Place::Polled => "polled",
            Place::Worker => "worker",
            Place::Device => "device",
            Place::Timer => "timer",
            Place::Event => "event",
        }
    }

    /// As a conclusion.
    pub fn concluded(self) -> Ran {
        Ran { place: self, known: Known::Concluded }
    }

    /// As something seen.
    pub fn seen(self) -> Ran {
        Ran { place: self, known: Known::Seen }
    }
}

impl std::fmt::Display for Ran {
    /// `polled`, or `polled?` if that is a conclusion.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let doubt = if self.known == Known::Concluded { "?" } else { "" };
        write!(f, "{}{doubt}", self.place.name())
    }
}

/// Whether the kernel gives the entry to a worker without trying it first: it has `IOSQE_ASYNC`, or
/// its preparation sets `REQ_F_FORCE_ASYNC` (`io_uring/` in the kernel).
pub fn always_in_a_worker(entry: &Entry) -> bool {
    /// `POSIX_FADV_NORMAL`, `RANDOM` and `SEQUENTIAL` only set a flag of the file.
    const ADVICE_AT_ONCE: u32 = 2;
    let creates = (libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
    match entry.opcode {
        _ if entry.has(sqe::ASYNC) => true,
        op::OPENAT => entry.op_flags & creates != 0,
        op::FADVISE => entry.op_flags > ADVICE_AT_ONCE,
        op::FSYNC | op::SYNC_FILE_RANGE | op::FALLOCATE | op::FTRUNCATE | op::MADVISE => true,
        op::SPLICE | op::TEE | op::SHUTDOWN | op::STATX => true,
        op::RENAMEAT | op::UNLINKAT | op::MKDIRAT | op::SYMLINKAT | op::LINKAT => true,
        op::FSETXATTR | op::SETXATTR | op::FGETXATTR | op::GETXATTR => true,
        _ => false,
    }
}

/// What an entry waits for that cannot be done at once; `Inline` for those that always can.
/// `file` is asked only where that makes a difference, and is returned then.
pub fn waits_for(entry: &Entry, file: impl FnOnce() -> Option<File>) -> (Place, Option<File>) {
    let place = match entry.opcode {
        op::NOP | op::NOP128 | op::MSG_RING | op::FUTEX_WAKE | op::ASYNC_CANCEL => Place::Inline,
        op::POLL_REMOVE | op::TIMEOUT_REMOVE | op::PROVIDE_BUFFERS => Place::Inline,
        op::REMOVE_BUFFERS | op::FIXED_FD_INSTALL | op::BIND | op::LISTEN => Place::Inline,
        op::TIMEOUT | op::LINK_TIMEOUT => Place::Timer,
        op::FUTEX_WAIT | op::FUTEX_WAITV | op::WAITID => Place::Event,
        op::URING_CMD | op::URING_CMD128 => Place::Device,
        op::SEND | op::SENDMSG | op::SEND_ZC | op::SENDMSG_ZC => Place::Polled,
        op::RECV | op::RECVMSG | op::RECV_ZC | op::READ_MULTISHOT => Place::Polled,
        op::ACCEPT | op::CONNECT | op::POLL_ADD | op::EPOLL_WAIT => Place::Polled,
        _ if entry.takes() || entry.gives() => {
            let file = file();
            let place = match file {
                Some(File::Disk) if entry.gives() => Place::Worker,
                Some(File::Disk | File::Direct) => Place::Device,
                Some(File::Stream) | None => Place::Polled,
            };
            return (place, file);
        }
        _ => Place::Worker,
    };
    (place, None)
}

/// What kind of file a read or write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// Its bytes lie on a disk, and pass through the page cache.
    Disk,
    /// The same past the page cache (`O_DIRECT`).
    Direct,
    /// A socket, a pipe, a terminal: its bytes arrive at any time.
    Stream,
}

impl File {
    /// The file behind a task's descriptor.
    pub fn of(tid: pid_t, fd: i32) -> Option<File> {
        let kind = fs::metadata(format!("/proc/{tid}/fd/{fd}")).ok()?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Some(File::Stream);
        }
        let info = fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = i32::from_str_radix(flags.trim(), 8).ok()?;
        Some(if flags & libc::O_DIRECT != 0 { File::Direct } else { File::Disk })
    }

    /// The file that an entry puts into a slot; `None` if it closes one.
    pub fn made_by(entry: &Entry) -> Option<File> {
        match entry.opcode {
            op::OPENAT if entry.op_flags & libc::O_DIRECT as u32 != 0 => Some(File::Direct),
            op::OPENAT | op::OPENAT2 => Some(File::Disk),
            op::ACCEPT | op::SOCKET | op::PIPE => Some(File::Stream),
            _ => None,
        }
    }
}

/// Which completions of one enter answer entries that were done as they were submitted. Those come
/// in the order of submission; a completion out of that order came by another way. `order` holds
/// the entries' places in the submission. The longest run that never goes back is taken, the
/// earlier one of two.
pub fn in_order(order: &[u64]) -> Vec<bool> {
    // `tails[n]` is where the best run of n + 1 completions ends.
    let mut tails: Vec<usize> = Vec::new();
    let mut before = vec![None; order.len()];
    let mut at = None;
    for (index, place) in order.iter().enumerate() {
        let length = tails.partition_point(|tail| order[*tail] <= *place);
        before[index] = length.checked_sub(1).map(|shorter| tails[shorter]);
        if length == tails.len() {
            tails.push(index);
            at = Some(index);
        } else {
            tails[length] = index;
        }
    }
    let mut picked = vec![false; order.len()];
    while let Some(index) = at {
        picked[index] = true;
        at = before[index];
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_the_order_came_later() {
        assert_eq!(in_order(&[1, 2, 3]), [true, true, true]);
        assert_eq!(in_order(&[2, 3, 1]), [true, true, false]);
        assert_eq!(in_order(&[5, 1, 2]), [false, true, true]);
        assert_eq!(in_order(&[2, 1]), [true, false], "of two runs, the earlier");
        assert_eq!(in_order(&[1, 1, 2]), [true, true, true], "a multishot answers twice");
        assert_eq!(in_order(&[1, 5, 2, 3]), [true, false, true, true], "the longest");
        assert!(in_order(&[]).is_empty());
    }

    #[test]
    fn a_conclusion_has_a_question_mark() {
        assert_eq!(Place::Worker.concluded().to_string(), "worker?");
        assert_eq!(Place::Polled.seen().to_string(), "polled");
    }

    #[test]
    fn the_kind_of_a_file() {
        use std::os::fd::AsRawFd;
        let me = std::process::id() as pid_t;
        let program = fs::File::open("/proc/self/exe").expect("this program");
        assert_eq!(File::of(me, program.as_raw_fd()), Some(File::Disk));
        let (one, _other) = std::os::unix::net::UnixStream::pair().expect("two sockets");
        assert_eq!(File::of(me, one.as_raw_fd()), Some(File::Stream));
        assert_eq!(File::of(me, -1), None);
    }
}
