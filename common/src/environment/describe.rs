//! The environment in words, one line a fact.

use super::{Environment, Limit};

impl Environment {
    /// What it allows, as labels and values for people. Looks at nothing but `self`.
    pub fn describe(&self) -> [(&'static str, String); 5] {
        let wsl = self.wsl.map_or(String::new(), |version| format!(" (WSL {version})"));
        [
            ("kernel", format!("Linux {}{wsl}, {}", self.kernel, self.cpus_in_words())),
            ("permission", self.permission()),
            ("sandbox", self.sandbox()),
            ("descriptors", format!("{} (RLIMIT_NOFILE)", limit(self.nofile, |n| n.to_string()))),
            ("memlock", self.locked_memory()),
        ]
    }

    fn cpus_in_words(&self) -> String {
        let all = format!("{} CPU{}", self.cpus, if self.cpus == 1 { "" } else { "s" });
        // Zero: the kernel did not say.
        if (1..self.cpus).contains(&self.cpus_allowed) {
            format!("{all}, {} of them for this program", self.cpus_allowed)
        } else {
            all
        }
    }

    fn permission(&self) -> String {
        let who = match (self.io_uring_disabled, self.io_uring_group) {
            (None, _) => {
                return "io_uring is for everybody (kernel.io_uring_disabled came with 6.6)"
                    .to_string();
            }
            (Some(0), _) => "io_uring is for everybody".to_string(),
            (Some(1), Some(group)) if group >= 0 => {
                format!("io_uring is for root and group {group}")
            }
            (Some(1), _) => "io_uring is for root only".to_string(),
            (Some(_), _) => "io_uring is off".to_string(),
        };
        format!("{who} (kernel.io_uring_disabled is {})", self.io_uring_disabled.unwrap_or(0))
    }

    fn locked_memory(&self) -> String {
        match self.locked_memory_limit() {
            None if self.memlock.soft.is_some() => {
                "no limit for this process (CAP_IPC_LOCK)".to_string()
            }
            None => "no limit (RLIMIT_MEMLOCK)".to_string(),
            Some(_) => {
                let allowed = limit(self.memlock, in_words);
                format!("{allowed} (RLIMIT_MEMLOCK: rings, registered buffers)")
            }
        }
    }

    fn sandbox(&self) -> String {
        let filter = if self.is_filtered() { "a seccomp filter" } else { "no seccomp filter" };
        let container = match self.container.as_deref() {
            Some("a container") => "; in a container".to_string(),
            Some(name) => format!("; in a container ({name})"),
            None => String::new(),
        };
        let user = match self.euid {
            Some(0) => "; as root".to_string(),
            Some(uid) => format!("; as user {uid}"),
            None => String::new(),
        };
        filter.to_string() + &container + &user
    }
}

fn limit(limit: Limit, in_words: impl Fn(u64) -> String) -> String {
    match (limit.soft, limit.hard) {
        (None, _) => "no limit".to_string(),
        (Some(soft), Some(hard)) if hard <= soft => in_words(soft),
        (Some(soft), Some(hard)) => {
            format!("{}, can be raised to {}", in_words(soft), in_words(hard))
        }
        (Some(soft), None) => format!("{}, can be raised", in_words(soft)),
    }
}

/// A number of bytes for people, in the largest unit that leaves no fraction.
pub(super) fn in_words(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        MIB.. if bytes % MIB == 0 => format!("{} MiB", bytes / MIB),
        KIB.. if bytes % KIB == 0 => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(environment: &Environment) -> String {
        environment.describe().map(|(label, value)| format!("{label}: {value}\n")).concat()
    }

    #[test]
    fn an_ordinary_machine() {
        let machine = Environment {
            kernel: "6.12.48".to_string(),
            io_uring_disabled: Some(0),
            io_uring_group: Some(-1),
            seccomp: Some(0),
            euid: Some(1000),
            memlock: Limit { soft: Some(8 << 20), hard: Some(8 << 20) },
            nofile: Limit { soft: Some(1024), hard: Some(524_288) },
            cpus: 8,
            cpus_allowed: 8,
            ..Environment::default()
        };
        assert_eq!(
            described(&machine),
            "kernel: Linux 6.12.48, 8 CPUs\n\
             permission: io_uring is for everybody (kernel.io_uring_disabled is 0)\n\
             sandbox: no seccomp filter; as user 1000\n\
             descriptors: 1024, can be raised to 524288 (RLIMIT_NOFILE)\n\
             memlock: 8 MiB (RLIMIT_MEMLOCK: rings, registered buffers)\n"
        );
    }

    #[test]
    fn a_confined_one() {
        let machine = Environment {
            kernel: "5.15.90.1-microsoft-standard-WSL2".to_string(),
            io_uring_disabled: Some(1),
            io_uring_group: Some(990),
            seccomp: Some(2),
            container: Some("Podman".to_string()),
            wsl: Some(2),
            euid: Some(0),
            memlock: Limit { soft: Some(65536), hard: None },
            cpus: 8,
            cpus_allowed: 2,
            ..Environment::default()
        };
        assert_eq!(
            described(&machine),
            "kernel: Linux 5.15.90.1-microsoft-standard-WSL2 (WSL 2), 8 CPUs, 2 of them for this \
             program\n\
             permission: io_uring is for root and group 990 (kernel.io_uring_disabled is 1)\n\
             sandbox: a seccomp filter; in a container (Podman); as root\n\
             descriptors: no limit (RLIMIT_NOFILE)\n\
             memlock: 64 KiB, can be raised (RLIMIT_MEMLOCK: rings, registered buffers)\n"
        );
    }
}
