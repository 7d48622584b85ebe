//! From a refused call to its cause and its remedy.

use nix::errno::Errno;

use super::describe::in_words;
use super::{Environment, Refusal};

/// `capabilities(7)`: may lock memory without limit.
const CAP_IPC_LOCK: u32 = 14;
/// `capabilities(7)`: may do almost everything.
const CAP_SYS_ADMIN: u32 = 21;

impl Environment {
    /// Why the kernel answered `call` (such as `io_uring_setup`) with this error number, and
    /// what to do about it. Looks at nothing but `self`.
    ///
    /// Sources: `io_uring_setup(2)`, `seccomp(2)`, and the kernel's
    /// `Documentation/admin-guide/sysctl/kernel.rst`.
    pub fn explain(&self, call: &str, errno: i32) -> Refusal {
        let errno = Errno::from_raw(errno);
        let (why, remedy) = match errno {
            Errno::EPERM if self.sysctl_forbids() => self.switched_off(),
            Errno::EPERM | Errno::ENOSYS if self.is_filtered() => self.filtered(),
            Errno::EPERM | Errno::EACCES => self.security_module(),
            Errno::ENOSYS => self.not_there(),
            Errno::ENOMEM => no_memory(),
            Errno::EMFILE => self.no_descriptor(),
            Errno::ENFILE => machine_out_of_files(),
            Errno::EINVAL => self.unknown_request(),
            other => (
                format!("the kernel says no more than that ({})", self.kernel),
                format!("`man 2 io_uring_setup` and `man 2 io_uring_register` on {other:?}"),
            ),
        };
        Refusal { what: format!("{call} was refused: {errno:?} ({})", errno.desc()), why, remedy }
    }

    /// As [`Environment::explain`], for a call that locks `bytes` of memory: it sets a ring
    /// up, or registers buffers or a ring of them. There ENOMEM nearly always means
    /// RLIMIT_MEMLOCK. Linux counts rings against it up to 5.11 and again since 6.14, and
    /// registered buffers always.
    pub fn explain_memory(&self, call: &str, errno: i32, bytes: u64) -> Refusal {
        let refusal = self.explain(call, errno);
        match self.locked_memory_limit() {
            Some(limit) if errno == libc::ENOMEM => Refusal {
                why: format!(
                    "it needs {} of locked memory; RLIMIT_MEMLOCK allows {}, for all rings and \
                     registered buffers of this user together",
                    in_words(bytes),
                    in_words(limit)
                ),
                remedy: self.more_locked_memory(bytes, limit),
                ..refusal
            },
            _ => refusal,
        }
    }

    /// The bytes of memory that the user of this process may lock, if it has a limit at all
    /// (`CAP_IPC_LOCK` lifts it).
    pub fn locked_memory_limit(&self) -> Option<u64> {
        self.memlock.soft.filter(|_| !self.has(CAP_IPC_LOCK))
    }

    fn more_locked_memory(&self, bytes: u64, limit: u64) -> String {
        /// The smallest ring: a page of entries and a page of completions.
        const LEAST: u64 = 8 << 10;
        let less = match limit {
            _ if bytes <= limit => "end other programs of this user that have rings; or ",
            LEAST.. => "fewer entries; or ",
            _ => "",
        };
        let more = match self.memlock.hard {
            None => "`ulimit -l unlimited` in this shell first".to_string(),
            Some(hard) if hard > limit && hard >= bytes => {
                format!("`ulimit -l {}` in this shell first", hard >> 10)
            }
            Some(_) => "`sudo prlimit --pid $$ --memlock=unlimited` in this shell first, or a \
                        `memlock` line in /etc/security/limits.conf and a new login"
                .to_string(),
        };
        format!("{less}{more}")
    }

    /// Whether `kernel.io_uring_disabled` keeps this process out.
    fn sysctl_forbids(&self) -> bool {
        match self.io_uring_disabled {
            Some(0) | None => false,
            Some(1) => !self.has(CAP_SYS_ADMIN) && !self.in_io_uring_group(),
            Some(_) => true,
        }
    }

    /// Whether the kernel itself, not only this user namespace, grants the capability.
    fn has(&self, capability: u32) -> bool {
        !self.user_namespace && self.capabilities & (1 << capability) != 0
    }

    fn in_io_uring_group(&self) -> bool {
        let group = self.io_uring_group.and_then(|group| u32::try_from(group).ok());
        !self.user_namespace && group.is_some_and(|group| self.groups.contains(&group))
    }

    fn switched_off(&self) -> (String, String) {
        let (mut why, remedy) = match (self.io_uring_disabled, self.io_uring_group) {
            (Some(1), Some(group)) if group >= 0 => (
                format!(
                    "kernel.io_uring_disabled is 1: io_uring is for root and group {group} only"
                ),
                format!(
                    "`sudo sysctl kernel.io_uring_disabled=0`, or join group {group}, or run it \
                     with sudo"
                ),
            ),
            (Some(1), _) => (
                "kernel.io_uring_disabled is 1: io_uring is for root only".to_string(),
                "`sudo sysctl kernel.io_uring_disabled=0`, or run it with sudo".to_string(),
            ),
            _ => (
                "kernel.io_uring_disabled is 2: io_uring is off for everybody, root too"
                    .to_string(),
                "`sudo sysctl kernel.io_uring_disabled=0`".to_string(),
            ),
        };
        if self.is_filtered() {
            why += ". A seccomp filter is active as well, and may refuse it next";
        }
        let host =
            if self.container.is_some() { ", on the host and not in the container" } else { "" };
        (why, remedy + host)
    }

    fn filtered(&self) -> (String, String) {
        const ALLOW: &str = "io_uring_setup, io_uring_enter and io_uring_register";
        let why = match self.container.as_deref() {
            Some(container) => format!(
                "a seccomp filter is active, and this is a container ({container}): the default \
                 profiles of Docker and others refuse io_uring since 2023"
            ),
            None => "a seccomp filter is active: a sandbox, or a container (Docker's default \
                     profile refuses io_uring since 2023)"
                .to_string(),
        };
        let remedy = match self.container.as_deref() {
            Some("Kubernetes") => format!(
                "a pod with `seccompProfile: {{type: Unconfined}}` in its securityContext, or a \
                 profile that allows {ALLOW}"
            ),
            _ => format!(
                "`--security-opt seccomp=unconfined` for `docker run` or `podman run`, or a \
                 profile that allows {ALLOW}; or run it outside the sandbox"
            ),
        };
        (why, remedy)
    }

    fn security_module(&self) -> (String, String) {
        (
            format!(
                "a security module (SELinux, AppArmor) forbids it; or it asks for SQPOLL, which \
                 is for root up to Linux 5.12 (this is {})",
                self.kernel
            ),
            "`sudo dmesg | tail` or `sudo ausearch -m avc -ts recent` names the module's rule; \
             without SQPOLL, or as root"
                .to_string(),
        )
    }

    fn not_there(&self) -> (String, String) {
        if self.wsl == Some(1) {
            return (
                "this is WSL 1, which imitates a kernel and has no io_uring".to_string(),
                "`wsl --set-version DISTRIBUTION 2` in Windows: WSL 2 runs a real kernel"
                    .to_string(),
            );
        }
        match self.version() {
            Some(version) if version < (5, 1) => (
                format!(
                    "io_uring came with Linux 5.1; this is {} (gVisor calls itself 4.4.0; its \
                     io_uring is an experiment, and off)",
                    self.kernel
                ),
                "a newer kernel, or a runtime other than gVisor".to_string(),
            ),
            _ => (
                format!(
                    "this kernel ({}) was built without CONFIG_IO_URING, or a sandbox such as \
                     gVisor stands in for it",
                    self.kernel
                ),
                "`grep IO_URING /boot/config-$(uname -r)` tells; then a distribution's own \
                 kernel, or a runtime other than gVisor"
                    .to_string(),
            ),
        }
    }

    fn no_descriptor(&self) -> (String, String) {
        let soft = self.nofile.soft.unwrap_or(1024);
        let (more, as_root) = match self.nofile.hard {
            Some(hard) if hard > soft => (hard.min(soft * 4), ""),
            Some(_) => (soft * 4, ", as root"),
            None => (soft * 4, ""),
        };
        (
            format!("this process has as many descriptors as RLIMIT_NOFILE allows: {soft}"),
            format!("`ulimit -n {more}` in this shell first{as_root}"),
        )
    }

    fn unknown_request(&self) -> (String, String) {
        (
            format!(
                "this kernel ({}) does not know what was asked, or not with these values",
                self.kernel
            ),
            "day02 shows what it grants, and which rule it refuses a ring by".to_string(),
        )
    }

    /// Major and minor version. Only used in messages: a program finds out what a kernel can do by
    /// asking it, since distributions carry new features back to old versions.
    fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.kernel.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

fn no_memory() -> (String, String) {
    (
        "there is no memory for it, in the machine or in this control group".to_string(),
        "fewer entries, or more memory (`memory.max` of the control group)".to_string(),
    )
}

fn machine_out_of_files() -> (String, String) {
    (
        "the whole machine has as many files open as fs.file-max allows".to_string(),
        "`sudo sysctl fs.file-max=1000000`, or end what holds them (`lsof | wc -l`)".to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Limit;

    const EPERM: i32 = libc::EPERM;
    const ENOSYS: i32 = libc::ENOSYS;

    /// An ordinary user on a kernel that allows io_uring.
    fn user(kernel: &str) -> Environment {
        Environment {
            kernel: kernel.to_string(),
            seccomp: Some(0),
            euid: Some(1000),
            groups: vec![1000, 27],
            memlock: Limit { soft: Some(65536), hard: Some(65536) },
            nofile: Limit { soft: Some(1024), hard: Some(4096) },
            cpus: 4,
            cpus_allowed: 4,
            ..Environment::default()
        }
    }

    fn root(kernel: &str) -> Environment {
        Environment { euid: Some(0), capabilities: 0x1ff_ffff_ffff, ..user(kernel) }
    }

    fn with_sysctl(disabled: u32, group: i64, environment: Environment) -> Environment {
        Environment {
            io_uring_disabled: Some(disabled),
            io_uring_group: Some(group),
            ..environment
        }
    }

    /// Asserts that the cause and the remedy hold these words.
    #[track_caller]
    fn explains(environment: &Environment, errno: i32, why: &str, remedy: &str) {
        let refusal = environment.explain("io_uring_setup", errno);
        assert!(refusal.why.contains(why), "{refusal}");
        assert!(refusal.remedy.contains(remedy), "{refusal}");
        assert!(refusal.what.starts_with("io_uring_setup was refused: E"), "{refusal}");
    }

    // PITFALLS row 26, one test a cause.

    #[test]
    fn the_sysctl_forbids_everybody() {
        for environment in [user("6.6.0"), root("6.6.0")] {
            let environment = with_sysctl(2, -1, environment);
            explains(&environment, EPERM, "io_uring_disabled is 2", "sysctl kernel.io_uring_dis");
        }
    }

    #[test]
    fn the_sysctl_forbids_all_but_a_group() {
        let outside = with_sysctl(1, 990, user("6.6.0"));
        explains(&outside, EPERM, "root and group 990 only", "join group 990");
        let nobody = with_sysctl(1, -1, user("6.6.0"));
        explains(&nobody, EPERM, "for root only", "run it with sudo");
    }

    #[test]
    fn whom_the_sysctl_lets_in_was_refused_by_something_else() {
        let member = with_sysctl(1, 27, user("6.6.0"));
        explains(&member, EPERM, "security module", "dmesg");
        let root = with_sysctl(1, -1, root("6.6.0"));
        explains(&root, EPERM, "security module", "dmesg");
    }

    #[test]
    fn root_of_a_user_namespace_is_not_root_for_the_sysctl() {
        let rootless = Environment { user_namespace: true, ..root("6.6.0") };
        explains(&with_sysctl(1, -1, rootless), EPERM, "for root only", "sudo");
    }

    #[test]
    fn the_sysctl_of_a_container_is_the_hosts() {
        let docker = Environment {
            seccomp: Some(2),
            container: Some("Docker".to_string()),
            ..with_sysctl(2, -1, root("6.6.0"))
        };
        explains(&docker, EPERM, "filter is active as well", "on the host");
    }

    #[test]
    fn a_seccomp_filter_refuses_with_either_error() {
        for errno in [EPERM, ENOSYS] {
            let sandbox = Environment { seccomp: Some(2), ..user("6.12.1") };
            explains(&sandbox, errno, "seccomp filter", "--security-opt seccomp=unconfined");
            explains(&sandbox, errno, "since 2023", "io_uring_enter and io_uring_register");
            let docker = Environment { container: Some("Docker".to_string()), ..sandbox.clone() };
            explains(&docker, errno, "(Docker)", "docker run");
            let pod = Environment { container: Some("Kubernetes".to_string()), ..sandbox };
            explains(&pod, errno, "(Kubernetes)", "seccompProfile");
        }
    }

    #[test]
    fn a_container_without_a_filter_is_not_blamed() {
        let docker = Environment { container: Some("Docker".to_string()), ..root("6.12.1") };
        explains(&docker, ENOSYS, "CONFIG_IO_URING", "boot/config");
        explains(&docker, EPERM, "security module", "ausearch");
    }

    #[test]
    fn a_kernel_without_io_uring() {
        explains(&user("4.19.0-27"), ENOSYS, "came with Linux 5.1", "newer kernel");
        explains(&user("5.10.0"), ENOSYS, "CONFIG_IO_URING", "distribution's own kernel");
        explains(&user("unknown"), ENOSYS, "CONFIG_IO_URING", "gVisor");
        let wsl = Environment { wsl: Some(1), ..user("4.4.0-19041-Microsoft") };
        explains(&wsl, ENOSYS, "WSL 1", "wsl --set-version");
    }

    /// Asserts what the cause and the remedy say about a ring that needs 104 KiB.
    #[track_caller]
    fn explains_memory(environment: &Environment, why: &str, remedy: &str) {
        let refusal = environment.explain_memory("io_uring_setup", libc::ENOMEM, 104 << 10);
        assert!(refusal.why.contains(why), "{refusal}");
        assert!(refusal.remedy.contains(remedy), "{refusal}");
    }

    #[test]
    fn a_limit_on_locked_memory_is_named_with_both_figures() {
        let limited = |soft, hard| Environment { memlock: Limit { soft, hard }, ..user("6.18.0") };
        let (small, large) = (Some(64 << 10), Some(8 << 20));
        let why = "needs 104 KiB of locked memory; RLIMIT_MEMLOCK allows 64 KiB, for all rings";
        explains_memory(&limited(small, small), why, "fewer entries; or `sudo prlimit --pid $$ ");
        explains_memory(&limited(small, large), why, "`ulimit -l 8192` in this shell first");
        explains_memory(&limited(small, None), why, "`ulimit -l unlimited` in this shell first");
        // Alone it would fit.
        explains_memory(&limited(large, large), "RLIMIT_MEMLOCK allows 8 MiB", "end other prog");
        // Which kernels count rings does not matter here: distributions carry changes back.
        explains_memory(&user("5.15.0"), why, "fewer entries");
    }

    #[test]
    fn without_a_limit_on_locked_memory_the_machine_has_no_more() {
        explains_memory(&root("6.18.0"), "no memory", "memory.max");
        let unlimited = Environment { memlock: Limit::default(), ..user("6.18.0") };
        explains_memory(&unlimited, "no memory", "memory.max");
        // Root of a user namespace has no rights over the machine's memory.
        let rootless = Environment { user_namespace: true, ..root("6.18.0") };
        explains_memory(&rootless, "RLIMIT_MEMLOCK allows 64 KiB", "fewer entries");
    }

    #[test]
    fn a_call_that_locks_no_memory_does_not_blame_the_limit() {
        explains(&user("6.18.0"), libc::ENOMEM, "no memory", "memory.max");
        let other = user("6.6.0").explain_memory("io_uring_setup", EPERM, 8192);
        assert_eq!(other, user("6.6.0").explain("io_uring_setup", EPERM));
    }

    #[test]
    fn limits_on_descriptors() {
        explains(&user("6.1.0"), libc::EMFILE, "RLIMIT_NOFILE allows: 1024", "`ulimit -n 4096`");
        let low = Limit { soft: Some(64), hard: Some(64) };
        let low = Environment { nofile: low, ..user("6.1.0") };
        explains(&low, libc::EMFILE, "allows: 64", "`ulimit -n 256` in this shell first, as root");
        explains(&low, libc::ENFILE, "fs.file-max", "sysctl");
    }

    #[test]
    fn anything_else_is_named_and_points_to_the_manual() {
        explains(&user("6.1.0"), libc::EINVAL, "6.1.0", "day02");
        explains(&user("6.1.0"), libc::EBUSY, "no more than that", "man 2 io_uring_setup");
        explains(&user("6.1.0"), libc::EACCES, "security module", "ausearch");
        // A number without a name does not panic.
        let refusal = user("6.1.0").explain("io_uring_setup", 5000);
        assert!(refusal.what.contains("was refused"), "{refusal}");
    }
}
