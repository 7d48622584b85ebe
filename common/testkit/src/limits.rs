//! Gives a child lower limits than this process has.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Gives the child a lower RLIMIT_NOFILE: `soft` is in force, and as far as `hard` it may
/// raise it again (`getrlimit(2)`).
pub fn limit_descriptors(command: &mut Command, soft: u64, hard: u64) {
    // SAFETY: the closure runs in the child after fork, where only what is async-signal-safe
    // is allowed: it makes one system call, whose argument is on the stack.
    unsafe { command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?)) };
}

/// Gives the child this RLIMIT_MEMLOCK, in bytes, or ours if that is smaller, and takes
/// `CAP_IPC_LOCK` away if we may (`CAP_SETPCAP`): otherwise the limit would not bind root.
pub fn limit_locked_memory(command: &mut Command, bytes: u64) {
    /// `linux/capability.h`.
    const CAP_IPC_LOCK: libc::c_ulong = 14;
    let limit = move || {
        // SAFETY: takes numbers and touches no memory. It may fail: an ordinary user has no
        // such capability to lose.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) };
        let bytes = bytes.min(getrlimit(Resource::RLIMIT_MEMLOCK)?.1);
        Ok(setrlimit(Resource::RLIMIT_MEMLOCK, bytes, bytes)?)
    };
    // SAFETY: the closure runs in the child after fork, where only what is async-signal-safe
    // is allowed: it makes three system calls, whose arguments are on the stack.
    unsafe { command.pre_exec(limit) };
}

/// Sets RLIMIT_NOFILE of a process that runs (`prlimit(2)`): a child of ours, as the same
/// user; to raise `hard` needs privileges.
///
/// # Errors
/// If the process is gone, or may not be changed.
pub fn limit_descriptors_of(pid: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    let none = std::ptr::null_mut();
    // SAFETY: the call reads `limit`, which outlives it, and writes nothing.
    let result = unsafe { libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, &limit, none) };
    Ok(Errno::result(result).map(drop)?)
}

/// A user that owns nothing here, for children of root, which RLIMIT_NPROC does not limit.
const STRANGER: u32 = 61_001;

/// Makes the child an ordinary user, if this process is root. `false` if that user may not run
/// the program: a folder above it may be closed to others.
pub fn as_ordinary_user(command: &mut Command) -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        return true;
    }
    let mut look = Command::new("test");
    look.arg("-x").arg(command.get_program()).uid(STRANGER).gid(STRANGER);
    command.uid(STRANGER).gid(STRANGER);
    look.status().is_ok_and(|status| status.success())
}

/// Lets the child, an ordinary user's, start no threads: neither its own nor the kernel's
/// worker threads, which count as its own (RLIMIT_NPROC, `getrlimit(2)`).
pub fn forbid_threads(command: &mut Command) {
    // SAFETY: as in `limit_descriptors`.
    unsafe { command.pre_exec(|| Ok(setrlimit(Resource::RLIMIT_NPROC, 0, 0)?)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_has_the_limits() {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -Sn; ulimit -Hn"]);
        limit_descriptors(&mut command, 31, 57);
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "31\n57\n");
    }
}
