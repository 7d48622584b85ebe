//! Seccomp filters: programs that the kernel runs at each system call of a process and of all
//! that it starts (seccomp(2)). One takes io_uring away from a child, as containers and hardened
//! systems do.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, sock_filter, sock_fprog};

/// The word that `linux/audit.h` gives this architecture (`AUDIT_ARCH_*`): the ELF machine,
/// 64 bits, little-endian.
#[cfg(target_arch = "x86_64")]
pub const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
pub const ARCHITECTURE: u32 = 0xc000_00f3;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("look up this architecture's AUDIT_ARCH word in linux/audit.h");

/// Offsets in `struct seccomp_data` (`linux/seccomp.h`).
pub const NUMBER: u32 = 0;
/// See [`NUMBER`].
pub const ARCH: u32 = 4;

/// The lower half of an argument, likewise.
pub const fn argument(nth: u32) -> u32 {
    let half = if cfg!(target_endian = "little") { 0 } else { 4 };
    16 + 8 * nth + half
}

/// A filter, ready to be installed.
#[derive(Debug)]
pub struct Filter(pub Vec<sock_filter>);

impl Filter {
    /// Gives one answer (`SECCOMP_RET_*`) to these system calls and allows all others. Calls of
    /// another convention than the machine's own have other numbers: they get `foreign`.
    pub fn on_calls(calls: &[i64], answer: u32, foreign: u32) -> Filter {
        let mut program = only_calls(calls, foreign);
        program.push(returns(answer));
        Filter(program)
    }

    /// As [`Filter::on_calls`], if the call's argument has one of these values; only its lower
    /// half is looked at. Calls of another convention are allowed.
    pub fn on_argument(calls: &[i64], nth: u32, values: &[u32], answer: u32) -> Filter {
        let mut program = only_calls(calls, SECCOMP_RET_ALLOW);
        program.push(load(argument(nth)));
        program.extend(only(values));
        program.push(returns(answer));
        Filter(program)
    }

    /// Installs it for good in this thread and all that it starts.
    ///
    /// Allocates nothing and takes no lock, for use in a child after fork.
    ///
    /// # Errors
    /// The kernel's, from `seccomp(2)`.
    pub fn install(&self) -> io::Result<()> {
        let program = sock_fprog { len: self.0.len() as u16, filter: self.0.as_ptr().cast_mut() };
        let set = || {
            // SAFETY: the kernel copies the program before the call returns, and only reads.
            unsafe {
                libc::syscall(
                    libc::SYS_seccomp,
                    libc::SECCOMP_SET_MODE_FILTER,
                    0,
                    &raw const program,
                )
            }
        };
        if set() == 0 {
            return Ok(());
        }
        // An ordinary user must first give up privileges by exec. Under a tracer they are already
        // lost: `execve(2)` ignores set-user-ID there.
        // SAFETY: plain numbers.
        let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0;
        if given_up && set() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Jumps to what is appended for these calls.
fn only_calls(calls: &[i64], foreign: u32) -> Vec<sock_filter> {
    let mut program = vec![load(ARCH), equal(ARCHITECTURE, 1, 0), returns(foreign), load(NUMBER)];
    let numbers: Vec<u32> = calls.iter().map(|number| *number as u32).collect();
    program.extend(only(&numbers));
    program
}

/// Jumps to what is appended if the loaded word is one of `values`; otherwise allows the call.
fn only(values: &[u32]) -> impl Iterator<Item = sock_filter> {
    let to_the_end = (1..=values.len() as u8).rev();
    let compare = values.iter().zip(to_the_end).map(|(value, rest)| equal(*value, rest, 0));
    compare.chain([returns(SECCOMP_RET_ALLOW)])
}

/// Loads a word of `struct seccomp_data`.
pub fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

/// Ends the program with an answer.
pub fn returns(answer: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, answer)
}

/// Skips this many instructions if the loaded word is `value`, and that many if it is not.
pub fn equal(value: u32, yes: u8, no: u8) -> sock_filter {
    jump(libc::BPF_JEQ, value, yes, no)
}

/// As [`equal`], with another comparison (`BPF_JGE`, `BPF_JSET` …).
pub fn jump(how: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | how | libc::BPF_K, yes, no, value)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Makes every io_uring system call of the child, and of its children, fail with `errno`, as
/// Docker's default profile does (EPERM; profiles of others say ENOSYS).
///
/// # Panics
/// If `errno` is not an error number: outside 1 to 4095.
pub fn block_io_uring(command: &mut Command, errno: i32) {
    use libc::{SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup};
    block(command, &[SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register], errno);
}

/// Makes `io_uring_enter` alone fail with `errno`: a ring can be set up, and nothing submitted.
///
/// # Panics
/// As [`block_io_uring`].
pub fn block_io_uring_enter(command: &mut Command, errno: i32) {
    block(command, &[libc::SYS_io_uring_enter], errno);
}

fn block(command: &mut Command, calls: &[i64], errno: i32) {
    assert!((1..=4095).contains(&errno), "{errno} is not an error number");
    let filter = Filter::on_calls(calls, SECCOMP_RET_ERRNO | errno as u32, SECCOMP_RET_ALLOW);
    // SAFETY: the closure runs in the child after fork, where only what is async-signal-safe
    // is allowed: installing makes system calls and allocates nothing.
    unsafe { command.pre_exec(move || filter.install()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str = "IOURING_DRIVE_TEST_CHILD";

    /// Not a test: the program that [`a_blocked_child_gets_the_error_number`] starts.
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
