//! The system calls that have nothing to do with rings: counted, and kept for later questions.

use libc::pid_t;

use super::Watch;
use crate::context::Reader;
use crate::syscalls::Call;

/// A system call that has nothing to do with rings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherCall {
    /// Microseconds since the trace began.
    pub us: u64,
    /// The thread that made it.
    pub tid: pid_t,
    /// Its name.
    pub name: String,
    /// Its six arguments, even if the call has fewer.
    pub args: [u64; 6],
    /// The file that gets bytes by it: `pipe:[45]`, `socket:[12]`, a path. A socket that does not
    /// leave the machine is a `unix:[12]`.
    pub into: Option<String>,
    /// Any other file that the call concerns, named likewise: what is read, copied, closed ….
    pub of: Option<String>,
}

/// How many calls are kept: a program that spins over one must not fill the tracer's memory.
pub const CALLS_KEPT: usize = 1 << 17;

/// Which arguments of a call are descriptors: of the file that it concerns, and of the file that
/// gets bytes.
fn descriptors(name: &str) -> (Option<usize>, Option<usize>) {
    match name {
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "vmsplice" | "sendto"
        | "sendmsg" | "sendmmsg" => (None, Some(0)),
        "sendfile" => (Some(1), Some(0)),
        "tee" => (Some(0), Some(1)),
        "splice" | "copy_file_range" => (Some(0), Some(2)),
        "read" | "readv" | "pread64" | "preadv" | "preadv2" | "recvfrom" | "recvmsg"
        | "recvmmsg" | "close" | "dup" | "dup2" | "dup3" | "fcntl" | "shutdown" | "accept"
        | "accept4" | "connect" | "getpeername" | "getsockname" | "getsockopt" | "setsockopt"
        | "ioctl" => (Some(0), None),
        _ => (None, None),
    }
}

impl Watch {
    /// Keeps every call that does not concern rings, and not only their number.
    pub fn keep_calls(&mut self) {
        self.calls = Some(Vec::new());
    }

    /// The calls that were kept so far.
    pub fn calls(&self) -> &[OtherCall] {
        self.calls.as_deref().unwrap_or_default()
    }

    /// A system call that has nothing to do with rings.
    pub fn count_call(&mut self, tid: pid_t, name: &str, call: &Call) {
        self.summary.foreign_calls += u64::from(!call.native);
        if self.summary.fast {
            return;
        }
        if let Some(count) = self.summary.other_calls.get_mut(name) {
            *count += 1;
        } else {
            self.summary.other_calls.insert(name.to_string(), 1);
        }
        match self.calls.as_ref().map(Vec::len) {
            None => return,
            Some(CALLS_KEPT) => return self.summary.calls_not_kept += 1,
            Some(_) => {}
        }
        let (of, into) = descriptors(name);
        let mut file = |argument: Option<usize>| {
            let argument = argument.filter(|_| call.native)?;
            self.file(tid, call.args[argument] as i32)
        };
        let (of, into) = (file(of), file(into));
        let (us, name, args) = (self.now(), name.to_string(), call.args);
        let kept = OtherCall { us, tid, name, args, into, of };
        self.calls.get_or_insert_default().push(kept);
    }

    /// The file behind a descriptor.
    fn file(&mut self, tid: pid_t, fd: i32) -> Option<String> {
        let file = Reader::of(tid).descriptor(fd)?;
        let Some(inode) = file.strip_prefix("socket:[") else { return Some(file) };
        let inode = inode.trim_end_matches(']');
        if !self.local.contains_key(&file) {
            self.local.insert(file.clone(), is_local(tid, inode));
        }
        Some(if self.local[&file] { format!("unix:[{inode}]") } else { file })
    }
}

/// Whether a socket is among those of `unix(7)`, which `/proc` lists with the inode in the seventh
/// column.
fn is_local(tid: pid_t, inode: &str) -> bool {
    let sockets = std::fs::read_to_string(format!("/proc/{tid}/net/unix")).unwrap_or_default();
    sockets.lines().any(|line| line.split_whitespace().nth(6) == Some(inode))
}
