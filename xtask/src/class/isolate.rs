//! Shutting a process in, as far as the kernel lets us: limits always; a network of its own,
//! read-only files and process numbers of its own where namespaces may be made.
//!
//! What cannot be had is told, not hidden.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Uid, fork, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

/// What a run is shut off from, and why not from more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// It has a network of its own with loopback in it.
    pub network: bool,
    /// It can write nowhere but into its own folder, which is in memory.
    pub files: bool,
    /// It sees no processes but its own, and they end with it.
    pub processes: bool,
    /// What was not allowed.
    pub refused: Vec<String>,
}

/// Bytes of the folder in memory.
const FOLDER: &str = "size=64m,mode=1777";

/// The user that a program of root's is run as.
const NOBODY: u32 = 65534;

/// The exit status of a process that cannot have process numbers of its own.
pub const NO_PROCESSES: i32 = 99;

/// Shuts the calling process in: to be called early, while it has one thread. `folder` is
/// where it may write. With `processes` it goes on as a child, the first of its own
/// namespace, and the caller ends with it.
pub fn shut_in(folder: &Path, processes: bool) -> Isolation {
    let mut isolation = Isolation::default();
    let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
    let mut spaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    if processes {
        spaces |= CloneFlags::CLONE_NEWPID;
    }
    // Root may do it as it is; anybody else is given a user namespace, in which they may.
    let mut made = if user.is_root() { unshare(spaces) } else { Err(nix::Error::EPERM) };
    if made.is_err() {
        if user.is_root() {
            become_nobody(&mut isolation);
        }
        made = unshare(spaces | CloneFlags::CLONE_NEWUSER);
        if made.is_ok() {
            let (user, group) =
                if user.is_root() { (NOBODY, NOBODY) } else { (user.as_raw(), group.as_raw()) };
            // The same numbers inside as outside.
            let _ = fs::write("/proc/self/setgroups", "deny");
            let _ = fs::write("/proc/self/uid_map", format!("{user} {user} 1"));
            let _ = fs::write("/proc/self/gid_map", format!("{group} {group} 1"));
        }
    }
    match made {
        Ok(()) => within(folder, processes, &mut isolation),
        Err(errno) => isolation.refused.push(format!("namespaces: {errno:?}")),
    }
    if nix::unistd::geteuid().is_root() {
        become_nobody(&mut isolation);
    }
    limit();
    let _ = std::env::set_current_dir(folder);
    isolation
}

/// The namespaces are there: fills them.
fn within(folder: &Path, processes: bool, isolation: &mut Isolation) {
    match loopback() {
        Ok(()) => isolation.network = true,
        Err(error) => isolation.refused.push(format!("a network of its own: {error}")),
    }
    match read_only(folder) {
        Ok(()) => isolation.files = true,
        Err(error) => isolation.refused.push(format!("read-only files: {error}")),
    }
    if processes {
        go_on_as_child();
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let proc = mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>);
        if proc.is_err() {
            // Without its own /proc, it would read about other processes there.
            std::process::exit(NO_PROCESSES);
        }
        isolation.processes = true;
    } else {
        isolation.refused.push("process numbers of its own".to_string());
    }
}

/// Forks; the parent waits and ends as the child does, and so the caller goes on as the first
/// process of the new namespace.
fn go_on_as_child() {
    // SAFETY: there is one thread, so the child has all that it needs.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
        }
        Ok(ForkResult::Parent { child }) => {
            let status = match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, status)) => status,
                _ => 1,
            };
            std::process::exit(status);
        }
        Err(_) => std::process::exit(NO_PROCESSES),
    }
}

/// Brings the new network's loopback up.
fn loopback() -> io::Result<()> {
    // Any socket will do to ask with. It is made in the new network.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the kernel reads one `ifreq`, ours, before the call returns.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Makes every file system read-only in this namespace, but for a new one in memory at
/// `folder`. `mount_setattr(2)` came with Linux 5.12.
fn read_only(folder: &Path) -> io::Result<()> {
    const READ_ONLY: u64 = 1;
    const RECURSIVE: libc::c_uint = 0x8000;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let attributes =
        MountAttributes { set: READ_ONLY, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: the kernel reads a string and one `mount_attr`, both ours, before the call
    // returns.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            RECURSIVE,
            &attributes,
            size_of::<MountAttributes>(),
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), folder, Some("tmpfs"), flags, Some(FOLDER))?;
    Ok(())
}

/// Nothing of root's is at hand to a program that is not root.
fn become_nobody(isolation: &mut Isolation) {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let changed = setgroups(&[])
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user));
    if let Err(errno) = changed {
        isolation.refused.push(format!("another user than root: {errno:?}"));
    }
    // A process that changed its user may not look at itself in /proc, unless it says so.
    let _ = nix::sys::prctl::set_dumpable(true);
}

/// Limits for one run. The tracer has them too, and lives well within.
fn limit() {
    const MIB: u64 = 1 << 20;
    let _ = nix::sys::prctl::set_no_new_privs();
    for (resource, limit) in [
        (Resource::RLIMIT_CPU, 100),
        (Resource::RLIMIT_AS, 4096 * MIB),
        (Resource::RLIMIT_FSIZE, 16 * MIB),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NPROC, own_tasks() + 128),
    ] {
        let hard = nix::sys::resource::getrlimit(resource).map_or(limit, |(_, hard)| hard);
        let limit = limit.min(hard);
        let _ = setrlimit(resource, limit, limit);
    }
}

/// The threads that this user has already: the limit counts them all.
fn own_tasks() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let user = nix::unistd::getuid().as_raw();
    let Ok(entries) = fs::read_dir("/proc") else { return 4096 };
    entries
        .flatten()
        .filter(|entry| entry.metadata().is_ok_and(|about| about.uid() == user))
        .filter_map(|entry| fs::read_dir(entry.path().join("task")).ok())
        .map(|tasks| tasks.count() as u64)
        .sum()
}
