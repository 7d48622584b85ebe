//! The isolation of a student's program: it is compiled and run behind walls.
//!
//! Bubblewrap (`bwrap`) builds the walls from namespaces, for an ordinary user and for root. Behind
//! them are the system's programs and libraries (`/usr`), Rust and the libraries of a workbook, all
//! read-only; an empty `/tmp` in memory; five devices (`null`, `zero`, `full`, `random`,
//! `urandom`); and a network with loopback only. The program does not get our processes, terminal,
//! message queues, environment or open files.
//!
//! The judge is behind the walls too, because it has to trace the program and be its client. The
//! program still cannot affect it:
//! - It is the first process of its process namespace: the kernel drops the signals that the
//!   others send it, and kills all others when it ends.
//! - It keeps one capability, and the programs that it starts have none. `ptrace(2)` and
//!   `/proc/PID` refuse access to a process of the same user that has more capabilities: the judge
//!   may trace the program, but the program may not even read the judge.
//!
//! If root runs it, each program also has its own user. Otherwise programs run as your user, in a
//! user namespace in which they cannot create another.
//!
//! With or without walls, the tracer traces all processes that a program starts. When the judge
//! ends, for any reason, the kernel kills them.
//!
//! The walls do not isolate vsock, where it reaches another machine. They do not limit memory that
//! no process has mapped, such as that of pipes. And inotify shows which files below `/usr` are
//! opened. Without walls, much more is open. [`Walls::words`] describes what depends on the
//! machine.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use common::text::{WIDTH, wrap};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, VsockAddr, connect, socket};
use nix::unistd::{Uid, setsid};

use super::libraries::Libraries;
use super::limits;
use ringtrace::filter;
use ringtrace::launch;
use tempfile::TempDir;

/// The isolation that this machine allows.
#[derive(Debug)]
pub struct Walls {
    /// The program that builds the walls, or why there are no walls.
    bwrap: Result<PathBuf, String>,
}

/// A process behind the walls, and the paths that it needs.
#[derive(Debug)]
pub struct Inside {
    /// The command that starts the judge.
    pub command: Command,
    /// The path of the libraries for the judge.
    pub libraries: Libraries,
    /// Its working folder, if that is not in memory.
    _folder: Option<TempDir>,
}

/// The judge's one capability. Any capability is right.
const KEPT: &str = "net_bind_service";

/// The size of the folder in memory, in bytes.
const MEMORY: &str = "134217728";

/// The most processes and threads of a program. An honest program has fewer than twenty.
const TASKS: u64 = 128;

impl Walls {
    /// Walls of bubblewrap, if it is installed.
    pub fn find() -> Walls {
        let bwrap = launch::find(OsStr::new("bwrap"))
            .map_err(|_| "bubblewrap is not installed: `sudo apt install bubblewrap`".to_string());
        Walls { bwrap }
    }

    /// No walls, and the reason.
    pub fn none(why: String) -> Walls {
        Walls { bwrap: Err(why) }
    }

    /// Whether there are walls.
    pub fn stand(&self) -> bool {
        self.bwrap.is_ok()
    }

    /// Why there are no walls.
    pub fn lack(&self) -> Option<&str> {
        self.bwrap.as_ref().err().map(String::as_str)
    }

    /// A judge for one program.
    ///
    /// # Errors
    /// If no folder can be made for it.
    pub fn judge(&self, libraries: &Libraries) -> Result<Inside> {
        let own = std::env::current_exe().context("this program")?;
        let user = can_be_others().then(own_user);
        let mut inside = match &self.bwrap {
            Ok(bwrap) => behind(bwrap, &own, libraries, user),
            Err(_) => unshut(&own, libraries, user)?,
        };
        inside.command.arg("judge");
        Ok(inside)
    }

    /// Describes the isolation for people.
    pub fn words(&self) -> String {
        let mut words = match (&self.bwrap, can_be_others()) {
            (Ok(_), _) => "Each program is compiled and run behind walls: no files but the \
                           system's programs and an empty folder, no network but loopback, no \
                           other processes, no terminal, no environment.\n"
                .to_string(),
            (Err(why), true) => format!(
                "NOT SHUT OFF: there are no walls here ({why}). Each program runs as its own user, \
                 without a terminal or environment. It can use the network, see other processes, \
                 and open every file and socket that all users may open.\n"
            ),
            (Err(why), false) => format!(
                "NOT SHUT OFF: there are no walls here ({why}). Each program runs as you, without a \
                 terminal or environment. It can do all that you can do: read and change your \
                 files, use the network, talk to your other programs, and write its own verdict.\n"
            ),
        };
        if reaches_host() {
            words.push_str(
                "NOT SHUT OFF: sockets of the family vsock. They reach the host of this virtual \
                 machine, and what listens on vsock.\n",
            );
        }
        words.push_str(&format!(
            "Limits: {} s of CPU time and {} GiB of memory for a program with all that it starts, \
             {TASKS} processes and threads.\n",
            limits::CPU,
            limits::MEMORY
        ));
        wrap(&words, WIDTH, 0) + "\n"
    }
}

/// The judge behind walls.
fn behind(bwrap: &Path, own: &Path, libraries: &Libraries, user: Option<u32>) -> Inside {
    let mut command = Command::new(bwrap);
    command.args(["--new-session", "--as-pid-1", "--unshare-pid", "--unshare-net"]);
    command.args(["--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
    match user {
        // The judge becomes that user.
        Some(_) => command.args(["--cap-drop", "ALL"]).args(capabilities(&["setuid", "setgid"])),
        None => command.args(["--unshare-user", "--disable-userns"]),
    };
    command.args(capabilities(&[KEPT]));
    command.args(["--perms", "1777", "--size", MEMORY, "--tmpfs", "/tmp", "--proc", "/proc"]);
    // Made first: a folder that is made for a file in it cannot be entered by others.
    command.args(["--dir", "/dev", "--dir", "/etc"]);
    for device in ["null", "zero", "full", "random", "urandom"] {
        let path = format!("/dev/{device}");
        command.args(["--dev-bind", &path, &path]);
    }
    command.args(["--symlink", "/proc/self/fd", "/dev/fd"]);
    command.args(["--symlink", "/proc/self/fd/1", "/dev/stdout"]);
    command.args(["--symlink", "/proc/self/fd/2", "/dev/stderr"]);
    command.args(["--ro-bind", "/usr", "/usr"]);
    for path in ["/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache"] {
        command.args(["--ro-bind-try", path, path]);
    }
    // What `localhost` is.
    for path in ["/etc/hosts", "/etc/nsswitch.conf"] {
        command.args(["--ro-bind-try", path, path]);
    }
    let within = Libraries {
        rust: PathBuf::from("/rust"),
        folder: PathBuf::from("/libraries"),
        ..libraries.clone()
    };
    for (outside, inside) in [
        (libraries.rust.as_path(), within.rust.as_path()),
        (libraries.folder.as_path(), within.folder.as_path()),
        (own, Path::new("/xtask")),
    ] {
        command.arg("--ro-bind").args([outside, inside]);
    }
    command.args(["--remount-ro", "/", "--chdir", "/tmp", "--"]);
    if let Some(user) = user {
        command.arg("setpriv").args(become_user(user));
    }
    command.arg("/xtask");
    command.env_clear().env("PATH", "/usr/bin:/bin");
    Inside { command, libraries: within, _folder: None }
}

fn capabilities(names: &[&str]) -> Vec<String> {
    let add = |name: &&str| ["--cap-add".to_string(), format!("CAP_{}", name.to_uppercase())];
    names.iter().flat_map(add).collect()
}

/// The judge without walls, isolated as far as possible.
fn unshut(own: &Path, libraries: &Libraries, user: Option<u32>) -> Result<Inside> {
    let folder = folder(user).context("a folder for programs")?;
    let mut command = match user {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(become_user(user)).arg(own);
            command
        }
        None => Command::new(own),
    };
    command.env_clear().current_dir(folder.path()).env("TMPDIR", folder.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ok(Inside { command, libraries: libraries.clone(), _folder: Some(folder) })
}

/// Arguments for `setpriv(1)`: another user, with the judge's one capability.
fn become_user(user: u32) -> [String; 7] {
    [
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".to_string(),
        format!("--inh-caps=+{KEPT}"),
        format!("--ambient-caps=+{KEPT}"),
        "--no-new-privs".to_string(),
        "--".to_string(),
    ]
}

/// The first of the user numbers that are not assigned (systemd's `docs/UIDS-GIDS.md`).
const FREE: u32 = 0x7000_0000;

/// A separate user, because limits count all processes of a user. Process numbers have 22 bits.
fn own_user() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    FREE + std::process::id() * 64 + NEXT.fetch_add(1, Ordering::Relaxed) % 64
}

/// Whether programs can have their own users: this is root, and not in a container with only some
/// of the user numbers.
fn can_be_others() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    Uid::effective().is_root() && has_free_users(&map)
}

/// Whether a `/proc/PID/uid_map` (`user_namespaces(7)`) contains the unassigned user numbers.
fn has_free_users(map: &str) -> bool {
    let last = u64::from(FREE) + (1 << 28);
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first
            .zip(count)
            .is_some_and(|(first, count)| first <= u64::from(FREE) && first + count >= last)
    })
}

/// Whether this process runs as a separate user.
pub fn is_own_user() -> bool {
    Uid::current().as_raw() >= FREE
}

/// A new folder that only this user may enter. Dropping it removes the folder.
fn folder(user: Option<u32>) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("class").tempdir()?;
    chown(folder.path(), user, user)?;
    Ok(folder)
}

/// The judge's first step, behind walls or without: gives up the terminal and all open files but
/// three, and sets limits. Must run in the only thread.
///
/// `others` are the tasks of its user that do not belong to it.
pub fn shut_in(others: u64) {
    let _ = setsid();
    let _ = prctl::set_no_new_privs();
    let _ = filter::all_traced().install();
    // SAFETY: the arguments are numbers. We have opened nothing yet, so no descriptor above 2 is in
    // use.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        // Processes that it starts have no capability.
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        // A new session keyring, in place of the teacher's.
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0);
    }
    // If the machine runs out of memory, the kernel kills this process first.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    const MIB: u64 = 1 << 20;
    for (resource, limit) in [
        // For a process that the sum misses.
        (Resource::RLIMIT_CPU, limits::CPU),
        (Resource::RLIMIT_AS, 4096 * MIB),
        (Resource::RLIMIT_FSIZE, 64 * MIB),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NPROC, others + TASKS),
    ] {
        let hard = getrlimit(resource).map_or(limit, |(_, hard)| hard);
        let _ = setrlimit(resource, limit.min(hard), limit.min(hard));
    }
}

/// The user's threads that the limit on processes counts for a judge: kernels before 5.14 count all
/// threads of the user. A separate user has no other threads.
pub fn others() -> u64 {
    if can_be_others() {
        return 0;
    }
    let user = Uid::effective().as_raw();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.metadata().is_ok_and(|about| about.uid() == user))
        .filter_map(|entry| fs::read_dir(entry.path().join("task")).ok())
        .map(|tasks| tasks.count() as u64)
        .sum()
}

/// Whether a vsock reaches the host of this machine: kernels before 7.0 do not tie it to a network
/// namespace, and no seccomp filter sees a ring's SOCKET and CONNECT.
fn reaches_host() -> bool {
    const ANY_PORT: u32 = 1;
    let kind = SockType::Stream;
    let made =
        socket(AddressFamily::Vsock, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None);
    let Ok(socket) = made else { return false };
    let host = VsockAddr::new(libc::VMADDR_CID_HOST, ANY_PORT);
    let answer = connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &host);
    !matches!(answer, Err(Errno::ENODEV | Errno::ENETUNREACH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_may_not_have_the_users_of_nobody() {
        assert!(has_free_users("         0          0 4294967295\n"));
        assert!(!has_free_users("         0       1000          1\n"));
        assert!(!has_free_users(
            "         0       1000          1\n         1     100000      65536\n"
        ));
        assert!(!has_free_users(""));
    }
}
