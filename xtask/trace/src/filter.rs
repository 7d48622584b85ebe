//! Seccomp filters for traced programs. One stops a program only at the few system calls that
//! matter to rings: the fast mode. The other forbids the program to start tasks that a tracer would
//! not see.

use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO};
use testkit::seccomp::{ARCH, ARCHITECTURE, Filter, NUMBER, argument, equal, jump, load, returns};

use super::syscalls::LOOKED_INTO;

/// Stops at [`LOOKED_INTO`], and at every call of another convention than this machine's own,
/// whose numbers are not looked up.
pub fn rings_only() -> Filter {
    Filter::on_calls(LOOKED_INTO, libc::SECCOMP_RET_TRACE, libc::SECCOMP_RET_TRACE)
}

/// Refuses tasks that are hidden from the tracer (`CLONE_UNTRACED`). The flags of `clone3` lie in
/// memory, which a filter cannot read; libraries use `clone` instead when the kernel has no
/// `clone3`. Calls of another convention are refused, since they have other numbers.
pub fn all_traced() -> Filter {
    /// Set in the numbers of x32's calls, which are not the machine's own.
    const X32: u32 = 0x4000_0000;
    Filter(vec![
        load(ARCH),
        equal(ARCHITECTURE, 0, 7),
        load(NUMBER),
        jump(libc::BPF_JGE, X32, 5, 0),
        equal(libc::SYS_clone3 as u32, 4, 0),
        equal(libc::SYS_clone as u32, 0, 2),
        load(argument(0)),
        jump(libc::BPF_JSET, libc::CLONE_UNTRACED as u32, 2, 0),
        returns(SECCOMP_RET_ALLOW),
        returns(SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        returns(SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ])
}

/// Refuses the system calls that write to one descriptor, with EPERM: all bytes that arrive there
/// were written by a ring.
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
    Filter::on_argument(&WRITES, 0, &[fd], SECCOMP_RET_ERRNO | libc::EPERM as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel does, for the three kinds of instruction that it has; the
    /// call's first argument is 1.
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
        let (ours, others) = (no_writes_to(1), no_writes_to(5));
        for number in [libc::SYS_write, libc::SYS_sendmsg] {
            assert_eq!(verdict(&ours, ARCHITECTURE, number as u32), refused);
            assert_eq!(verdict(&others, ARCHITECTURE, number as u32), libc::SECCOMP_RET_ALLOW);
        }
        for number in [libc::SYS_read, libc::SYS_close, libc::SYS_io_uring_enter] {
            assert_eq!(verdict(&ours, ARCHITECTURE, number as u32), libc::SECCOMP_RET_ALLOW);
        }
        assert_eq!(verdict(&ours, 0x4000_0003, 4), libc::SECCOMP_RET_ALLOW, "32-bit");
    }

    #[test]
    fn it_stops_what_it_should_and_nothing_else() {
        let filter = rings_only();
        for number in 0..500_u32 {
            let stops = verdict(&filter, ARCHITECTURE, number) == libc::SECCOMP_RET_TRACE;
            assert_eq!(stops, LOOKED_INTO.contains(&i64::from(number)), "system call {number}");
        }
        assert_eq!(verdict(&filter, 0x4000_0003, 1), libc::SECCOMP_RET_TRACE, "32-bit");
    }
}
