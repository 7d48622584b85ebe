//! What a thread takes from itself: files, by Landlock; and from a ring, by a filter (Linux 7.0; the
//! crate has no call for it).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;

/// Landlock (`landlock(7)`, Linux 5.13): this thread opens no file for reading any more.
pub fn open_nothing() -> io::Result<()> {
    const ACCESS_FS_READ_FILE: u64 = 1 << 2;
    let (handled, length) = ([ACCESS_FS_READ_FILE], size_of::<u64>());
    set_no_new_privs()?;
    // SAFETY: the kernel copies the structure, which begins with what it handles. No rule allows
    // any of that. The descriptor is new and nobody else's.
    unsafe {
        let create = libc::SYS_landlock_create_ruleset;
        let rules = Errno::result(libc::syscall(create, handled.as_ptr(), length, 0))?;
        let rules = OwnedFd::from_raw_fd(rules as RawFd);
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
    // `linux/io_uring.h`
    const OPENAT: u32 = 18;
    const REGISTER_BPF_FILTER: u32 = 37;
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
    set_no_new_privs()?; // Or only root may.
    let (call, argument) = (libc::SYS_io_uring_register, &raw const filter);
    // SAFETY: the kernel copies the structure, and the program in it.
    let registered = unsafe { libc::syscall(call, ring, REGISTER_BPF_FILTER, argument, 1) };
    Ok(Errno::result(registered).map(drop)?)
}
