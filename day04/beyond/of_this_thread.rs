//! What a thread takes from itself: a list for all rings that it makes afterwards, and a filter
//! (both Linux 7.0; the crate has neither); files, by Landlock.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};
use nix::errno::Errno;

/// `linux/io_uring.h`
const REGISTER_RESTRICTIONS: u32 = 11;
const REGISTER_BPF_FILTER: u32 = 37;
const RESTRICTION_SQE_OP: u16 = 1;

/// `struct io_uring_restriction`
#[repr(C)]
struct Restriction {
    kind: u16,
    value: u8,
    resv: u8,
    resv2: [u32; 3],
}

/// `struct io_uring_task_restriction`, with its list.
#[repr(C)]
struct OfTask {
    flags: u16,
    number: u16,
    resv: [u32; 3],
    list: [Restriction; 1],
}

/// All rings that this thread makes from now on, and those of all that it starts, take this
/// operation, and no other.
pub fn allow_only(operation: u8) -> io::Result<()> {
    let only = Restriction { kind: RESTRICTION_SQE_OP, value: operation, resv: 0, resv2: [0; 3] };
    let of_task = OfTask { flags: 0, number: 1, resv: [0; 3], list: [only] };
    register(-1, REGISTER_RESTRICTIONS, &raw const of_task)
}

/// Landlock (`landlock(7)`, Linux 5.13): this thread opens no file for reading any more.
pub fn open_nothing() -> io::Result<()> {
    const ACCESS_FS_READ_FILE: u64 = 1 << 2;
    let (handled, length) = ([ACCESS_FS_READ_FILE], size_of::<u64>());
    // SAFETY: the kernel copies the structure, which begins with what it handles. No rule allows
    // any of that. The descriptor is new and nobody else's.
    unsafe {
        let create = libc::SYS_landlock_create_ruleset;
        let rules = Errno::result(libc::syscall(create, handled.as_ptr(), length, 0))?;
        let rules = OwnedFd::from_raw_fd(rules as RawFd);
        Errno::result(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let restrict = libc::SYS_landlock_restrict_self;
        Errno::result(libc::syscall(restrict, rules.as_raw_fd(), 0))?;
    }
    Ok(())
}

/// `struct io_uring_bpf`, with its `struct io_uring_bpf_filter`.
#[repr(C)]
struct Filter {
    command: u16,
    command_flags: u16,
    resv: u32,
    operation: u32,
    flags: u32,
    length: u32,
    payload: u8,
    resv1: [u8; 3],
    program: *const sock_filter,
    resv2: [u64; 5],
}

/// A filter for OPENAT on this ring: it allows what opens for reading, and makes no file.
pub fn open_for_reading_only(ring: RawFd) -> io::Result<()> {
    /// Where the low half of the open's flags is in `struct io_uring_bpf_ctx`.
    const FLAGS: u32 = 16;
    const OPENAT: u32 = 18;
    let instruction = |code: u32, jf, k| sock_filter { code: code as u16, jt: 0, jf, k };
    let writes = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u32;
    let program = [
        instruction(BPF_LD | BPF_W | BPF_ABS, 0, FLAGS),
        instruction(libc::BPF_ALU | libc::BPF_AND | BPF_K, 0, writes),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 1, libc::O_RDONLY as u32),
        instruction(BPF_RET | BPF_K, 0, 1),
        instruction(BPF_RET | BPF_K, 0, 0),
    ];
    let filter = Filter {
        command: 1, // IO_URING_BPF_CMD_FILTER
        command_flags: 0,
        resv: 0,
        operation: OPENAT,
        flags: 0,
        length: program.len() as u32,
        payload: 24,
        resv1: [0; 3],
        program: program.as_ptr(),
        resv2: [0; 5],
    };
    register(ring, REGISTER_BPF_FILTER, &raw const filter)
}

/// `io_uring_register(2)` with one structure.
fn register<T>(ring: RawFd, call: u32, argument: *const T) -> io::Result<()> {
    // SAFETY: the kernel copies what it needs of the structure, and of the program in it.
    unsafe {
        // Or only root may: a list must not mislead a program with more rights.
        Errno::result(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        Errno::result(libc::syscall(libc::SYS_io_uring_register, ring, call, argument, 1))?;
    }
    Ok(())
}
