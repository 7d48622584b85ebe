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
                "`grep IO_URING /boot/config-$(uname -r)` shows which; then a distribution's own \
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
mod tests;
