//! Each cause, on a machine that is made up.

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
    Environment { io_uring_disabled: Some(disabled), io_uring_group: Some(group), ..environment }
}

/// Asserts that the cause and the remedy hold these words.
#[track_caller]
fn explains(environment: &Environment, errno: i32, why: &str, remedy: &str) {
    let refusal = environment.explain("io_uring_setup", errno);
    assert!(refusal.why.contains(why), "{refusal}");
    assert!(refusal.remedy.contains(remedy), "{refusal}");
    assert!(refusal.what.starts_with("io_uring_setup was refused: E"), "{refusal}");
}

// Pitfall 26 of the book, one test a cause.

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
