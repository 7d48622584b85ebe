//! What this machine allows, and why not.
//!
//! [`Environment::read`] looks at the machine and changes nothing. What a refused call means
//! is then a pure function of what it saw and of the error, in `environment/explain.rs`;
//! `environment/describe.rs` puts what it saw into words.

mod describe;
mod explain;

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::utsname::uname;
use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

use crate::text;

/// Something that was refused: what happened, why most likely, and what to type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What happened.
    pub what: String,
    /// The most likely cause.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  why: {}", self.why)?;
        write!(f, "  try: {}", self.remedy)
    }
}

impl std::error::Error for Refusal {}

/// Ends a program: prints an error to stderr as `day03: …`, and gives the exit code, 0 or 1.
///
/// A reader that closed our stdout early (`day01 | head -1`) is not an error, and nothing is
/// printed.
pub fn report(program: &str, result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if reader_is_gone(&error) {
        return ExitCode::SUCCESS;
    }
    let mut text = match out_of_descriptors(&error) {
        Some(refusal) => format!("{program}: {refusal}"),
        None => format!("{program}: {error:#}"),
    };
    let mut stderr = io::stderr().lock();
    if stderr.is_terminal() {
        text = text::wrap(&text, text::WIDTH, 7);
    }
    // If stderr is gone too, there is nowhere to report it.
    let _ = writeln!(stderr, "{text}");
    ExitCode::FAILURE
}

/// Any step may need a descriptor, and the remedy is always the same.
fn out_of_descriptors(error: &anyhow::Error) -> Option<Refusal> {
    let cause = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).next_back()?;
    (cause.raw_os_error() == Some(libc::EMFILE)).then(|| explain("a system call", cause))
}

/// Whether the cause is a pipe without a reader. Rust programs ignore SIGPIPE, so a write to such a
/// pipe fails with EPIPE. (A send through a ring is not such a write: its error is in the
/// completion.)
fn reader_is_gone(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The kernel's release, as `uname -r` prints it.
pub fn kernel_release() -> String {
    uname().map_or_else(|_| "unknown".into(), |names| names.release().to_string_lossy().into())
}

/// The CPUs that are online, by number. Numbers can be missing: a CPU may be switched off.
///
/// A poller can be bound to any of these (`sq_thread_cpu`), not only to those of the program.
/// Source: `/sys/devices/system/cpu/online`.
pub fn online_cpus() -> Vec<u32> {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = cpu_list(&online);
    if !cpus.is_empty() {
        return cpus;
    }
    let count = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1);
    (0..u32::try_from(count).unwrap_or(1).max(1)).collect()
}

/// How many CPUs are online, at least one.
pub fn cpus() -> usize {
    online_cpus().len()
}

/// The error's name as the headers spell it, such as `EPERM`.
pub fn errno_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("{:?}", Errno::from_raw(code)),
        None => error.to_string(),
    }
}

/// Turns a refused `call` into its cause and its remedy, by a look at this machine.
/// [`Environment::explain`] is the rule.
pub fn explain(call: &str, error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(code) => Environment::read().explain(call, code),
        None => Refusal {
            what: format!("{call} failed: {error}"),
            why: "the error does not come from the kernel".to_string(),
            remedy: "look at the program that made the call".to_string(),
        },
    }
}

/// As [`explain()`], for a call that locks `bytes` of memory. [`Environment::explain_memory`] is
/// the rule.
pub fn explain_memory(call: &str, error: &io::Error, bytes: u64) -> Refusal {
    match error.raw_os_error() {
        Some(code) => Environment::read().explain_memory(call, code, bytes),
        None => explain(call, error),
    }
}

/// What this machine allows this process. A field is `None` if it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The kernel's release (`uname -r`).
    pub kernel: String,
    /// The sysctl `kernel.io_uring_disabled` (Linux 6.6): 0 allows io_uring to everybody, 1
    /// to privileged processes and one group, 2 to nobody.
    pub io_uring_disabled: Option<u32>,
    /// The sysctl `kernel.io_uring_group` (Linux 6.6): the group that value 1 lets in, -1 for
    /// none.
    pub io_uring_group: Option<i64>,
    /// This process's seccomp mode (`proc_pid_status(5)`): 0 none, 1 strict, 2 a filter.
    pub seccomp: Option<u32>,
    /// The container runtime that left its marks here, or "a container".
    pub container: Option<String>,
    /// Which Windows Subsystem for Linux this is: 1 has no io_uring, 2 is a real kernel.
    pub wsl: Option<u32>,
    /// The effective user; 0 is root.
    pub euid: Option<u32>,
    /// The effective group and the supplementary ones.
    pub groups: Vec<u32>,
    /// The effective capabilities, one bit each (`capabilities(7)`).
    pub capabilities: u64,
    /// Whether users are mapped, as in a rootless container. Capabilities are worth less there than
    /// they seem: the kernel asks for those of the machine.
    pub user_namespace: bool,
    /// `RLIMIT_MEMLOCK` in bytes: how much memory all processes of this user may lock.
    /// [`Environment::locked_memory_limit`] says whether it binds this process.
    pub memlock: Limit,
    /// `RLIMIT_NOFILE`: descriptors, and slots of a registered table.
    pub nofile: Limit,
    /// CPUs that are online.
    pub cpus: usize,
    /// CPUs that this process may run on (its affinity mask).
    pub cpus_allowed: usize,
}

/// A resource limit (`getrlimit(2)`). `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The limit in force; a process may raise it as far as `hard`.
    pub soft: Option<u64>,
    /// The limit that only a privileged process may raise.
    pub hard: Option<u64>,
}

impl Limit {
    fn read(resource: Resource) -> Limit {
        let finite = |limit| (limit != RLIM_INFINITY).then_some(limit);
        match getrlimit(resource) {
            Ok((soft, hard)) => Limit { soft: finite(soft), hard: finite(hard) },
            Err(_) => Limit::default(),
        }
    }
}

impl Environment {
    /// Looks at the machine. Fields that cannot be read are `None`: this only serves
    /// explanations, so it never fails itself.
    pub fn read() -> Environment {
        let kernel = kernel_release();
        Environment {
            io_uring_disabled: read_number("/proc/sys/kernel/io_uring_disabled"),
            io_uring_group: read_number("/proc/sys/kernel/io_uring_group"),
            container: container(
                Path::new("/.dockerenv").exists(),
                Path::new("/run/.containerenv").exists(),
                std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
                &fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
            ),
            wsl: wsl(&kernel),
            kernel,
            user_namespace: fs::read_to_string("/proc/self/uid_map")
                .is_ok_and(|map| maps_users(&map)),
            memlock: Limit::read(Resource::RLIMIT_MEMLOCK),
            nofile: Limit::read(Resource::RLIMIT_NOFILE),
            cpus: cpus(),
            ..Environment::of_status(&fs::read_to_string("/proc/self/status").unwrap_or_default())
        }
    }

    /// Reads `/proc/self/status` (`proc_pid_status(5)`).
    fn of_status(status: &str) -> Environment {
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("")
        };
        // Four numbers each: real, effective, saved, file system.
        let effective = |name| field(name).split_whitespace().nth(1).and_then(|id| id.parse().ok());
        let supplementary = field("Groups").split_whitespace().filter_map(|id| id.parse().ok());
        Environment {
            seccomp: field("Seccomp").trim().parse().ok(),
            euid: effective("Uid"),
            groups: effective("Gid").into_iter().chain(supplementary).collect(),
            capabilities: u64::from_str_radix(field("CapEff").trim(), 16).unwrap_or(0),
            cpus_allowed: cpu_list(field("Cpus_allowed_list")).len(),
            ..Environment::default()
        }
    }

    /// Whether a seccomp filter stands between this process and the kernel.
    pub fn is_filtered(&self) -> bool {
        self.seccomp == Some(2)
    }
}

fn read_number<T: FromStr>(path: &str) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Reads a list such as `0-3,8` (the kernel's "cpulist" format).
fn cpu_list(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// The container runtime, by the marks that it leaves: two files, a variable, the names of
/// the control groups.
fn container(docker: bool, podman: bool, kubernetes: bool, cgroup: &str) -> Option<String> {
    let in_cgroup = |name| cgroup.contains(name);
    let name = if kubernetes || in_cgroup("kubepods") {
        "Kubernetes"
    } else if podman || in_cgroup("libpod") {
        "Podman"
    } else if docker || in_cgroup("docker") {
        "Docker"
    } else if in_cgroup("lxc") || in_cgroup("containerd") {
        "a container"
    } else {
        return None;
    };
    Some(name.to_string())
}

/// Microsoft's kernels say so: `4.4.0-19041-Microsoft` is WSL 1, and WSL 2 is
/// `5.15.90.1-microsoft-standard-WSL2`.
fn wsl(release: &str) -> Option<u32> {
    if release.contains("microsoft") {
        Some(2)
    } else if release.contains("Microsoft") {
        Some(1)
    } else {
        None
    }
}

/// Whether a `/proc/self/uid_map` (`user_namespaces(7)`) maps users. The machine's own
/// namespace maps all of them to themselves.
fn maps_users(uid_map: &str) -> bool {
    let whole = ["0", "0", "4294967295"];
    !uid_map.trim().is_empty() && !uid_map.split_whitespace().eq(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_status_of_a_process_is_read() {
        let status = "Name:\tday01\nUid:\t1000\t1001\t1000\t1000\nGid:\t100\t101\t100\t100\n\
                      Groups:\t4 27 \nCapEff:\t00000000a80425fb\nSeccomp:\t2\n\
                      Seccomp_filters:\t1\nCpus_allowed:\tf\nCpus_allowed_list:\t0-2,8\n";
        let environment = Environment::of_status(status);
        assert_eq!(environment.euid, Some(1001));
        assert_eq!(environment.groups, [101, 4, 27]);
        assert_eq!(environment.capabilities, 0xa804_25fb);
        assert_eq!(environment.cpus_allowed, 4);
        assert!(environment.is_filtered());
    }

    #[test]
    fn a_status_that_is_missing_tells_nothing() {
        assert_eq!(Environment::of_status(""), Environment::default());
    }

    #[test]
    fn cpus_that_are_switched_off_leave_holes() {
        assert_eq!(cpu_list("0-1,4,6-7\n"), [0, 1, 4, 6, 7]);
        assert!(cpu_list("").is_empty());
    }

    #[test]
    fn containers_are_known_by_their_marks() {
        let name = |docker, podman, kubernetes, cgroup| {
            container(docker, podman, kubernetes, cgroup).unwrap_or_default()
        };
        assert_eq!(name(true, false, false, "0::/\n"), "Docker");
        assert_eq!(name(false, true, false, ""), "Podman");
        assert_eq!(name(true, false, true, ""), "Kubernetes");
        assert_eq!(name(false, false, false, "4:memory:/docker/3fb0\n"), "Docker");
        assert_eq!(name(false, false, false, "0::/lxc.payload.web\n"), "a container");
        assert_eq!(name(false, false, false, "0::/user.slice/user-1000.slice\n"), "");
    }

    #[test]
    fn the_two_subsystems_of_windows_differ() {
        assert_eq!(wsl("4.4.0-19041-Microsoft"), Some(1));
        assert_eq!(wsl("5.15.90.1-microsoft-standard-WSL2"), Some(2));
        assert_eq!(wsl("6.12.48+deb13-amd64"), None);
    }

    #[test]
    fn users_are_mapped_in_a_rootless_container() {
        assert!(!maps_users("         0          0 4294967295\n"));
        assert!(maps_users("         0       1000          1\n         1     100000      65536\n"));
        assert!(!maps_users(""));
    }

    #[test]
    fn this_machine_is_read() {
        let environment = Environment::read();
        assert_eq!(environment.kernel, kernel_release());
        assert!(environment.cpus >= 1);
        assert!(environment.euid.is_some());
        assert!(environment.nofile.soft.is_none_or(|soft| soft >= 3));
        let json = serde_json::to_string(&environment).expect("it is plain data");
        assert_eq!(environment, serde_json::from_str(&json).expect("what was written is read"));
    }

    #[test]
    fn a_closed_stdout_is_no_error() {
        let gone = Err(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing the report");
        assert_eq!(report("day01", gone), ExitCode::SUCCESS);
    }

    #[test]
    fn any_other_error_is() {
        let refused: anyhow::Result<()> =
            Err(io::Error::from(io::ErrorKind::PermissionDenied)).context("a ring");
        assert!(!reader_is_gone(&refused.unwrap_err()));
    }
}
