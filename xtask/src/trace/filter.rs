//! Seccomp filters for traced programs. One stops a program at the few system calls that matter
//! to rings, and lets all others run at full speed: the fast mode. The other lets it start nothing
//! that a tracer would not see.

use std::io;

use libc::{sock_filter, sock_fprog};

use super::syscalls::{LOOKED_INTO, NATIVE_ARCH};

/// The filter, ready to be installed in a child.
#[derive(Debug)]
pub struct Filter(Vec<sock_filter>);

impl Filter {
    /// Stops at [`LOOKED_INTO`], and at every call of another convention than this machine's
    /// own, whose numbers are not looked up.
    pub fn new() -> Filter {
        let count = LOOKED_INTO.len() as u8;
        // The last two are the answers.
        let mut program = vec![load(ARCH), equal(NATIVE_ARCH, 0, count + 2), load(NUMBER)];
        for (index, number) in LOOKED_INTO.iter().enumerate() {
            program.push(equal(*number as u32, count - index as u8, 0));
        }
        program.push(answer(libc::SECCOMP_RET_ALLOW));
        program.push(answer(libc::SECCOMP_RET_TRACE));
        Filter(program)
    }

    /// Refuses tasks that are hidden from the tracer (`CLONE_UNTRACED`). What `clone3` asks for lies
    /// in memory, where no filter looks: libraries go back to `clone` when the kernel has no
    /// `clone3`. Calls of another convention are refused, for they have other numbers.
    pub fn all_traced() -> Filter {
        /// Set in the numbers of x32's calls, which are not the machine's own.
        const X32: u32 = 0x4000_0000;
        Filter(vec![
            load(ARCH),
            equal(NATIVE_ARCH, 0, 7),
            load(NUMBER),
            jump(libc::BPF_JGE, X32, 5, 0),
            equal(libc::SYS_clone3 as u32, 4, 0),
            equal(libc::SYS_clone as u32, 0, 2),
            load(FIRST_ARGUMENT),
            jump(libc::BPF_JSET, libc::CLONE_UNTRACED as u32, 2, 0),
            answer(libc::SECCOMP_RET_ALLOW),
            answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
            answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        ])
    }

    /// Refuses the system calls that write to one descriptor, with EPERM: what arrives there, a
    /// ring has written.
    pub fn no_writes_to(fd: u32) -> Filter {
        const WRITES: [i64; 8] = [
            libc::SYS_write,
            libc::SYS_writev,
            libc::SYS_pwrite64,
            libc::SYS_pwritev,
            libc::SYS_pwritev2,
            libc::SYS_sendfile,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
        ];
        let count = WRITES.len() as u8;
        let mut program = vec![load(ARCH), equal(NATIVE_ARCH, 0, count + 1), load(NUMBER)];
        for (index, number) in WRITES.iter().enumerate() {
            program.push(equal(*number as u32, count - index as u8, 0));
        }
        program.push(answer(libc::SECCOMP_RET_ALLOW));
        program.push(load(FIRST_ARGUMENT));
        program.push(equal(fd, 0, 1));
        program.push(answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
        program.push(answer(libc::SECCOMP_RET_ALLOW));
        Filter(program)
    }

    /// Installs it for good in this thread and all that it starts.
    ///
    /// Allocates nothing and takes no lock: made for a child after fork.
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
        // An ordinary user has to give up privileges by exec first. Under a tracer it has
        // lost them already: `execve(2)` ignores set-user-ID there.
        // SAFETY: plain numbers.
        let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0;
        if given_up && set() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Default for Filter {
    fn default() -> Filter {
        Filter::new()
    }
}

fn statement(code: u32, value: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k: value }
}

/// Offsets in `struct seccomp_data` (`linux/seccomp.h`); of the argument, its lower half.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn answer(value: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, value)
}

fn equal(value: u32, jt: u8, jf: u8) -> sock_filter {
    jump(libc::BPF_JEQ, value, jt, jf)
}

/// A jump counts from the instruction after it.
fn jump(how: u32, value: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | how | libc::BPF_K) as u16, jt, jf, k: value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel does, for the three kinds of instruction it has; the first
    /// argument of the call is 1.
    fn verdict(filter: &Filter, arch: u32, number: u32) -> u32 {
        let mut loaded = 0;
        let mut at = 0;
        loop {
            let instruction = filter.0[at];
            at += 1;
            match u32::from(instruction.code) {
                code if code == libc::BPF_RET | libc::BPF_K => return instruction.k,
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    loaded = match instruction.k {
                        NUMBER => number,
                        ARCH => arch,
                        _ => 1,
                    };
                }
                _ if loaded == instruction.k => at += usize::from(instruction.jt),
                _ => at += usize::from(instruction.jf),
            }
        }
    }

    #[test]
    fn writes_to_one_descriptor_are_refused_and_nothing_else() {
        let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        let (ours, others) = (Filter::no_writes_to(1), Filter::no_writes_to(5));
        for number in [libc::SYS_write, libc::SYS_sendmsg] {
            assert_eq!(verdict(&ours, NATIVE_ARCH, number as u32), refused);
            assert_eq!(verdict(&others, NATIVE_ARCH, number as u32), libc::SECCOMP_RET_ALLOW);
        }
        for number in [libc::SYS_read, libc::SYS_close, libc::SYS_io_uring_enter] {
            assert_eq!(verdict(&ours, NATIVE_ARCH, number as u32), libc::SECCOMP_RET_ALLOW);
        }
        assert_eq!(verdict(&ours, 0x4000_0003, 4), libc::SECCOMP_RET_ALLOW, "32-bit");
    }

    #[test]
    fn it_stops_what_it_should_and_nothing_else() {
        let filter = Filter::new();
        for number in 0..500_u32 {
            let stops = verdict(&filter, NATIVE_ARCH, number) == libc::SECCOMP_RET_TRACE;
            assert_eq!(stops, LOOKED_INTO.contains(&i64::from(number)), "system call {number}");
        }
        assert_eq!(verdict(&filter, 0x4000_0003, 1), libc::SECCOMP_RET_TRACE, "32-bit");
    }
}
