//! Taking io_uring away from a child, as containers and hardened systems do.

use std::io;
use std::ops::RangeInclusive;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `io_uring_setup`, `io_uring_enter` and `io_uring_register`: the same on x86-64 and on
/// aarch64 (`asm-generic/unistd.h`).
const FIRST: u32 = 425;
const ENTER: u32 = 426;
const LAST: u32 = 427;

/// The word that `linux/audit.h` gives this architecture (`AUDIT_ARCH_*`).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("look up this architecture's AUDIT_ARCH word in linux/audit.h, and its numbers");

/// Makes every io_uring system call of the child, and of its children, fail with `errno`.
///
/// A seccomp filter does it, as Docker's default profile does (EPERM; profiles of others say
/// ENOSYS). An ordinary user may install one after giving up new privileges
/// (`PR_SET_NO_NEW_PRIVS`); neither can be taken back, so only the child does it, between
/// fork and exec. Source: seccomp(2).
///
/// # Panics
/// If `errno` is no error number: outside 1 to 4095.
pub fn block_io_uring(command: &mut Command, errno: i32) {
    block(command, FIRST..=LAST, errno);
}

/// Makes `io_uring_enter` alone fail with `errno`: a ring can be set up, and nothing submitted.
///
/// # Panics
/// As [`block_io_uring`].
pub fn block_io_uring_enter(command: &mut Command, errno: i32) {
    block(command, ENTER..=ENTER, errno);
}

fn block(command: &mut Command, calls: RangeInclusive<u32>, errno: i32) {
    assert!((1..=4095).contains(&errno), "{errno} is no error number");
    let filter = filter(calls, errno as u32);
    // SAFETY: the closure runs in the child after fork, where only what is async-signal-safe
    // is allowed: it makes two system calls and allocates nothing. The filter is owned by the
    // closure, and the kernel copies it before prctl returns.
    unsafe { command.pre_exec(move || install(&filter)) };
}

/// Answers these calls with the error number, and allows everything else.
/// Another architecture's calls have other numbers, so the architecture is looked at first.
fn filter(calls: RangeInclusive<u32>, errno: u32) -> [libc::sock_filter; 7] {
    /// Offsets in `struct seccomp_data` (`linux/seccomp.h`).
    const NUMBER: u32 = 0;
    const ARCH: u32 = 4;
    const ALLOW: usize = 6;
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let answer = |value| instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value);
    // A jump counts from the instruction after it.
    let to_allow = |from: usize| (ALLOW - from - 1) as u8;
    let jump = libc::BPF_JMP | libc::BPF_K;
    [
        load(ARCH),
        instruction(jump | libc::BPF_JEQ, 0, to_allow(1), ARCHITECTURE),
        load(NUMBER),
        instruction(jump | libc::BPF_JGE, 0, to_allow(3), *calls.start()),
        instruction(jump | libc::BPF_JGT, to_allow(4), 0, *calls.end()),
        answer(libc::SECCOMP_RET_ERRNO | errno),
        answer(libc::SECCOMP_RET_ALLOW),
    ]
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

fn install(filter: &[libc::sock_filter; 7]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: both calls read their arguments before they return; `program` and the filter
    // that it points to outlive them, and the kernel writes to neither.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str = "IOURING_DRIVE_TEST_CHILD";

    /// Not a test of its own: what [`a_blocked_child_gets_the_error_number`] starts.
    #[test]
    fn child_asks_for_a_ring() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let error = io_uring::IoUring::new(2).err().and_then(|error| error.raw_os_error());
        std::process::exit(error.unwrap_or(0));
    }

    #[test]
    fn a_blocked_child_gets_the_error_number() {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "seccomp::tests::child_asks_for_a_ring"]).env(CHILD, "1");
            block_io_uring(&mut command, errno);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(errno), "{output:?}");
        }
    }
}
