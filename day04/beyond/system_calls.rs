//! A filter of system calls (`seccomp(2)`): which calls this thread, and all that it starts, may make.

use std::io;

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;

/// Offsets in `struct seccomp_data` (`linux/seccomp.h`).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// `AUDIT_ARCH_…` of this program (`linux/audit.h`): the numbers of system calls are its own.
const OURS: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

/// Answers to a call: it is made, or it fails with EPERM.
pub const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
pub const DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

/// Answers `listed` to these calls of this thread from now on, and `others` to all others.
pub fn install(calls: &[i64], listed: u32, others: u32) -> io::Result<()> {
    let load = |offset| instruction(BPF_LD | BPF_W | BPF_ABS, 0, offset);
    let give = |answer| instruction(BPF_RET | BPF_K, 0, answer);
    let skip_if = |value, steps| instruction(BPF_JMP | BPF_JEQ | BPF_K, steps, value);
    // A call of another architecture has other numbers.
    let mut program = vec![load(ARCHITECTURE), skip_if(OURS, 1), give(DENY), load(NUMBER)];
    for (nth, call) in calls.iter().enumerate() {
        program.push(skip_if(*call as u32, (calls.len() - nth) as u8));
    }
    program.extend([give(others), give(listed)]);
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // Or only root may: a filter must not mislead a program with more rights.
    set_no_new_privs()?;
    let (mode, program) = (libc::SECCOMP_MODE_FILTER, &raw const program);
    // SAFETY: the kernel copies the program.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, program) })?;
    Ok(())
}

fn instruction(code: u32, jt: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf: 0, k }
}
