//! System calls as the tracer sees them: the number, the arguments, the result; and their
//! names. Whatever differs between x86-64 and aarch64 is in this file and nowhere else.
//!
//! The kernel's `PTRACE_GET_SYSCALL_INFO` hides the registers. What is left: the numbers
//! below 424, and that aarch64 lacks the oldest calls (`open`, `fork`, `dup2`).

use std::borrow::Cow;
use std::io;

use libc::pid_t;
use testkit::seccomp::ARCHITECTURE;

use super::sys::{self, RawSyscallInfo};

/// A stop at one end of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The program asks; the kernel has not begun.
    Entry(Call),
    /// The kernel has answered: a value, or the error's number as a negative one.
    Exit(i64),
    /// Neither: the stop has another cause.
    None,
}

/// A system call with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number, in the convention of `native`.
    pub number: u64,
    /// Its six arguments, even if the call has fewer.
    pub args: [u64; 6],
    /// Whether it came in this machine's own convention. A 32-bit program on a 64-bit kernel
    /// numbers its calls otherwise; only those of io_uring are the same everywhere.
    pub native: bool,
}

/// The stop that `pid` is in.
///
/// # Errors
/// `ESRCH` if it was killed meanwhile.
pub fn stop_of(pid: pid_t) -> io::Result<Stop> {
    sys::syscall_info(pid).map(|info| decode(&info))
}

/// Where the stack of `pid` ends at its stop; 0 if that is not known.
pub fn stack_pointer(pid: pid_t) -> u64 {
    sys::syscall_info(pid).map_or(0, |info| info.stack_pointer)
}

fn decode(info: &RawSyscallInfo) -> Stop {
    /// `PTRACE_SYSCALL_INFO_*` of `linux/ptrace.h`.
    const ENTRY: u8 = 1;
    const EXIT: u8 = 2;
    const SECCOMP: u8 = 3;
    /// Set in the numbers of x32, another convention of the same machine.
    const X32: u64 = 0x4000_0000;
    match info.op {
        ENTRY | SECCOMP => {
            let [number, args @ .., _] = info.words;
            let native = info.arch == ARCHITECTURE && number < X32;
            Stop::Entry(Call { number, args, native })
        }
        EXIT => Stop::Exit(info.words[0] as i64),
        _ => Stop::None,
    }
}

/// The kernel restarts the call, unless a handler of the program runs first (`linux/errno.h`).
const RESTART_UNLESS_HANDLED: i64 = -514;
/// The kernel restarts the call in any case.
const RESTART: i64 = -513;

/// The call that a task is about to return from, at a stop that is not the call's own, and its
/// result. `None` if the task is in no call, or if this machine does not show it.
#[cfg(target_arch = "x86_64")]
pub fn returning(pid: pid_t) -> Option<(Call, i64)> {
    /// The code segment of 64-bit programs.
    const LONG: u64 = 0x33;
    let it = sys::registers(pid).ok()?;
    let native = it.cs == LONG && it.orig_rax < 1 << 30;
    let args = [it.rdi, it.rsi, it.rdx, it.r10, it.r8, it.r9];
    native.then_some((Call { number: it.orig_rax, args, native }, it.rax as i64))
}

/// As on x86-64, the only machine that keeps the call's number where a tracer can see it.
#[cfg(target_arch = "aarch64")]
pub fn returning(_: pid_t) -> Option<(Call, i64)> {
    None
}

/// Lets the kernel restart the call that a task returns from. An enter that has already submitted
/// submits nothing the second time.
pub fn begin_again(pid: pid_t, submitted: bool) -> io::Result<()> {
    let mut registers = sys::registers(pid)?;
    let how = if submitted { RESTART } else { RESTART_UNLESS_HANDLED };
    set(&mut registers, how, submitted.then_some(0));
    sys::set_registers(pid, registers)
}

/// Makes a task at the end of an enter see the result, and the argument, of an enter that
/// submitted.
pub fn answer_as_submitted(pid: pid_t, submitted: u64) -> io::Result<()> {
    let mut registers = sys::registers(pid)?;
    set(&mut registers, submitted as i64, Some(submitted));
    sys::set_registers(pid, registers)
}

/// Whether a call that begins again can get a result when a signal comes. On aarch64 the
/// kernel has gone back to the call's instruction by then.
pub const ANSWERS_AT_A_SIGNAL: bool = cfg!(target_arch = "x86_64");

#[cfg(target_arch = "x86_64")]
fn set(registers: &mut libc::user_regs_struct, result: i64, to_submit: Option<u64>) {
    registers.rax = result as u64;
    registers.rsi = to_submit.unwrap_or(registers.rsi);
}

#[cfg(target_arch = "aarch64")]
fn set(registers: &mut libc::user_regs_struct, result: i64, to_submit: Option<u64>) {
    registers.regs[0] = result as u64;
    registers.regs[1] = to_submit.unwrap_or(registers.regs[1]);
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the tracer knows x86-64 and aarch64; add what this machine calls its system calls");

/// The calls that a tracer of rings has to look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `io_uring_setup(2)`.
    Setup,
    /// `io_uring_enter(2)`.
    Enter,
    /// `io_uring_register(2)`.
    Register,
    /// `close(2)`.
    Close,
    /// `close_range(2)`.
    CloseRange,
    /// `dup(2)`: the result is a copy of the first argument.
    Dup,
    /// `dup2(2)` and `dup3(2)`: the second argument becomes a copy of the first.
    DupTo,
    /// `fcntl(2)`.
    Fcntl,
    /// A call that starts a task; carries its `CLONE_*` flags where they are an argument.
    Clone,
    /// `clone3(2)`: the flags are in memory.
    Clone3,
    /// `unshare(2)`.
    Unshare,
    /// Any other.
    Other,
}

impl Kind {
    /// Whether the tracer wants to know how the call ends.
    pub fn has_an_answer(self) -> bool {
        use Kind::{Dup, DupTo, Enter, Fcntl, Register, Setup, Unshare};
        matches!(self, Setup | Enter | Register | Dup | DupTo | Fcntl | Unshare)
    }
}

/// The numbers of all calls that are not [`Kind::Other`].
pub const LOOKED_INTO: &[i64] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_unshare,
];

/// What a call means to the tracer.
pub fn kind(call: &Call) -> Kind {
    // The same numbers on every machine, and in 32-bit programs too.
    match call.number as i64 {
        libc::SYS_io_uring_setup => return Kind::Setup,
        libc::SYS_io_uring_enter => return Kind::Enter,
        libc::SYS_io_uring_register => return Kind::Register,
        libc::SYS_close_range => return Kind::CloseRange,
        libc::SYS_clone3 => return Kind::Clone3,
        _ if !call.native => return Kind::Other,
        _ => {}
    }
    match call.number as i64 {
        libc::SYS_close => Kind::Close,
        libc::SYS_dup => Kind::Dup,
        libc::SYS_dup3 => Kind::DupTo,
        libc::SYS_fcntl => Kind::Fcntl,
        libc::SYS_clone => Kind::Clone,
        libc::SYS_unshare => Kind::Unshare,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_dup2 => Kind::DupTo,
        _ => Kind::Other,
    }
}

/// A call's name, `syscall_N` if it is newer than this table.
pub fn name(call: &Call) -> Cow<'static, str> {
    let known = if call.native || call.number >= FIRST_COMMON { lookup(call.number) } else { None };
    match known {
        Some(name) => Cow::Borrowed(name),
        None if call.native => Cow::Owned(format!("syscall_{}", call.number)),
        None => Cow::Owned(format!("compat_syscall_{}", call.number)),
    }
}

/// From this number on every architecture numbers its calls alike.
const FIRST_COMMON: u64 = 424;

fn lookup(number: u64) -> Option<&'static str> {
    let number = number as i64;
    let tables = [SHARED, ONLY_HERE, NEWER_THAN_LIBC];
    let (_, name) = tables.into_iter().flatten().find(|(code, _)| *code == number)?;
    Some(name.trim_start_matches("SYS_"))
}

/// Pairs of number and name, from the constants of the `libc` crate.
macro_rules! calls {
    ($($constant:ident)*) => { &[$((libc::$constant, stringify!($constant))),*] };
}

/// Calls that both architectures have, under different numbers.
#[rustfmt::skip]
const SHARED: &[(i64, &str)] = calls! {
    SYS_accept SYS_accept4 SYS_acct SYS_add_key SYS_adjtimex SYS_bind SYS_bpf SYS_brk
    SYS_capget SYS_capset SYS_chdir SYS_chroot SYS_clock_adjtime SYS_clock_getres
    SYS_clock_gettime SYS_clock_nanosleep SYS_clock_settime SYS_clone SYS_clone3 SYS_close
    SYS_close_range SYS_connect SYS_copy_file_range SYS_delete_module SYS_dup SYS_dup3
    SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve
    SYS_execveat SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64
    SYS_fallocate SYS_fanotify_init SYS_fanotify_mark SYS_fchdir SYS_fchmod SYS_fchmodat
    SYS_fchown SYS_fchownat SYS_fcntl SYS_fdatasync SYS_fgetxattr SYS_finit_module
    SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsconfig SYS_fsetxattr SYS_fsmount
    SYS_fsopen SYS_fspick SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex
    SYS_futex_waitv SYS_get_mempolicy SYS_get_robust_list SYS_getcpu SYS_getcwd
    SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getitimer
    SYS_getpeername SYS_getpgid SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom
    SYS_getresgid SYS_getresuid SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt
    SYS_gettid SYS_gettimeofday SYS_getuid SYS_getxattr SYS_init_module
    SYS_inotify_add_watch SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_cancel
    SYS_io_destroy SYS_io_getevents SYS_io_setup SYS_io_submit SYS_io_uring_enter
    SYS_io_uring_register SYS_io_uring_setup SYS_ioctl SYS_ioprio_get SYS_ioprio_set
    SYS_kcmp SYS_kexec_file_load SYS_kexec_load SYS_keyctl SYS_kill SYS_landlock_add_rule
    SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat
    SYS_listen SYS_listxattr SYS_llistxattr SYS_lookup_dcookie SYS_lremovexattr SYS_lseek
    SYS_lsetxattr SYS_madvise SYS_mbind SYS_membarrier SYS_memfd_create SYS_memfd_secret
    SYS_migrate_pages SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall
    SYS_mmap SYS_mount SYS_mount_setattr SYS_move_mount SYS_move_pages SYS_mprotect
    SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend
    SYS_mq_unlink SYS_mremap SYS_mseal SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync
    SYS_munlock SYS_munlockall SYS_munmap SYS_name_to_handle_at SYS_nanosleep SYS_newfstatat
    SYS_nfsservctl SYS_open_by_handle_at SYS_open_tree SYS_openat SYS_openat2
    SYS_perf_event_open SYS_personality SYS_pidfd_getfd SYS_pidfd_open SYS_pidfd_send_signal
    SYS_pipe2 SYS_pivot_root SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_ppoll
    SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2 SYS_prlimit64 SYS_process_madvise
    SYS_process_mrelease SYS_process_vm_readv SYS_process_vm_writev SYS_pselect6 SYS_ptrace
    SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_quotactl SYS_quotactl_fd SYS_read
    SYS_readahead SYS_readlinkat SYS_readv SYS_reboot SYS_recvfrom SYS_recvmmsg SYS_recvmsg
    SYS_remap_file_pages SYS_removexattr SYS_renameat2 SYS_request_key SYS_restart_syscall
    SYS_rseq SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo
    SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo
    SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_sched_getaffinity
    SYS_sched_getattr SYS_sched_getparam SYS_sched_getscheduler SYS_sched_rr_get_interval
    SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam SYS_sched_setscheduler
    SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_sendfile
    SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_set_mempolicy SYS_set_mempolicy_home_node
    SYS_set_robust_list SYS_set_tid_address SYS_setdomainname SYS_setfsgid SYS_setfsuid
    SYS_setgid SYS_setgroups SYS_sethostname SYS_setitimer SYS_setns SYS_setpgid
    SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid SYS_setsid
    SYS_setsockopt SYS_settimeofday SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt
    SYS_shmget SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket SYS_socketpair
    SYS_splice SYS_statfs SYS_statx SYS_swapoff SYS_swapon SYS_symlinkat SYS_sync SYS_syncfs
    SYS_sysinfo SYS_syslog SYS_tee SYS_tgkill SYS_timer_create SYS_timer_delete
    SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime SYS_timerfd_create
    SYS_timerfd_gettime SYS_timerfd_settime SYS_times SYS_tkill SYS_truncate SYS_umask
    SYS_umount2 SYS_uname SYS_unlinkat SYS_unshare SYS_userfaultfd SYS_utimensat SYS_vhangup
    SYS_vmsplice SYS_wait4 SYS_waitid SYS_write SYS_writev
};

/// The oldest calls, which only x86-64 still has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ONLY_HERE: &[(i64, &str)] = calls! {
    SYS__sysctl SYS_access SYS_afs_syscall SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown
    SYS_creat SYS_dup2 SYS_epoll_create SYS_epoll_ctl_old SYS_epoll_wait
    SYS_epoll_wait_old SYS_eventfd SYS_fork SYS_futimesat
    SYS_get_thread_area SYS_getdents SYS_getpgrp SYS_getpmsg SYS_getrlimit SYS_inotify_init
    SYS_ioperm SYS_iopl SYS_lchown SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_modify_ldt
    SYS_open SYS_pause SYS_pipe SYS_poll SYS_putpmsg SYS_readlink
    SYS_rename SYS_renameat SYS_rmdir SYS_security SYS_select SYS_set_thread_area
    SYS_setrlimit SYS_signalfd SYS_stat SYS_symlink SYS_sync_file_range SYS_sysfs SYS_time
    SYS_tuxcall SYS_unlink SYS_uselib SYS_ustat SYS_utime SYS_utimes SYS_vfork SYS_vserver
};
#[cfg(not(target_arch = "x86_64"))]
const ONLY_HERE: &[(i64, &str)] = &[];

/// Numbers of `asm-generic/unistd.h` that the `libc` crate has no constant for.
const NEWER_THAN_LIBC: &[(i64, &str)] = &[
    (452, "fchmodat2"),
    (453, "map_shadow_stack"),
    (454, "futex_wake"),
    (455, "futex_wait"),
    (456, "futex_requeue"),
    (457, "statmount"),
    (458, "listmount"),
    (459, "lsm_get_self_attr"),
    (460, "lsm_set_self_attr"),
    (461, "lsm_list_modules"),
    (463, "setxattrat"),
    (464, "getxattrat"),
    (465, "listxattrat"),
    (466, "removexattrat"),
    (467, "open_tree_attr"),
    (468, "file_getattr"),
    (469, "file_setattr"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: i64) -> Call {
        Call { number: number as u64, args: [0; 6], native: true }
    }

    #[test]
    fn names_are_the_kernels() {
        assert_eq!(name(&call(libc::SYS_io_uring_enter)), "io_uring_enter");
        assert_eq!(name(&call(libc::SYS_read)), "read");
        assert_eq!(name(&call(462)), "mseal");
        assert_eq!(name(&call(100_000)), "syscall_100000");
        let compat = Call { native: false, ..call(5) };
        assert_eq!(name(&compat), "compat_syscall_5");
        assert_eq!(name(&Call { native: false, ..call(426) }), "io_uring_enter");
    }

    #[test]
    fn the_filter_stops_exactly_what_is_looked_into() {
        for number in 0..500 {
            let known = LOOKED_INTO.contains(&number);
            assert_eq!(kind(&call(number)) != Kind::Other, known, "system call {number}");
        }
    }

    #[test]
    fn entry_and_exit_are_told_apart() {
        let words = [426, 1, 2, 3, 4, 5, 6, 99];
        let entry = RawSyscallInfo { op: 1, arch: ARCHITECTURE, words, ..Default::default() };
        let expected = Call { number: 426, args: [1, 2, 3, 4, 5, 6], native: true };
        assert_eq!(decode(&entry), Stop::Entry(expected));
        assert_eq!(kind(&expected), Kind::Enter);
        let words = [(-11_i64) as u64, 1, 0, 0, 0, 0, 0, 0];
        let exit = RawSyscallInfo { op: 2, words, ..Default::default() };
        assert_eq!(decode(&exit), Stop::Exit(-11));
    }
}
