//! REGISTER_BPF_FILTER: let a BPF program allow or deny entries.
//!
//! Since 7.0. Takes a classic BPF program for one operation (`struct io_uring_bpf`), on a ring, or
//! with the descriptor -1 for all rings that this thread sets up afterwards; that needs
//! no_new_privs or CAP_SYS_ADMIN. liburing: `io_uring_register_bpf_filter`,
//! `io_uring_register_bpf_filter_task`; crate: none.
//! Restrictions allow an operation or not; a filter decides by its arguments: the family of SOCKET,
//! the flags of OPENAT, the address of CONNECT (7.2). It returns 0 to deny: EACCES. Filters stack,
//! and cannot be removed.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;

use atlas::{Entry, Page, Result, raw};
use common::catalog::{BPF_COMMANDS, BPF_FILTER_FLAGS};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_BPF_FILTER",
        "IO_URING_BPF_CMD_FILTER",
        "IO_URING_BPF_FILTER_DENY_REST",
        "IO_URING_BPF_FILTER_SZ_STRICT",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    // A new thread, since it gives up the right to new privileges.
    let filtered = thread::scope(|scope| scope.spawn(|| filter_sockets(page)).join());
    filtered.expect("the thread does not panic")
}

fn filter_sockets(page: &mut Page) -> Result<()> {
    // SAFETY: the call takes no memory.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let mut ring = IoUring::new(4)?;
    let only_inet = [load(FAMILY), jump_if_equal(libc::AF_INET as u32, 0, 1), ret(1), ret(0)];
    let registered = register(ring.as_raw_fd(), &only_inet, SOCKET_PAYLOAD, 0);
    let name = "IORING_REGISTER_BPF_FILTER";
    let asked = "a filter for SOCKET: AF_INET only";
    if page.call_since(name, asked, registered)?.is_none() {
        return Ok(());
    }
    let socket =
        |family| -> squeue::Entry { opcode::Socket::new(family, libc::SOCK_STREAM, 0).build() };
    // SAFETY: here and below, the entries point at no memory.
    let answer = unsafe { page.ask("SOCKET of AF_INET", &mut ring, socket(libc::AF_INET)) }?;
    // SAFETY: the descriptor is new and has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(answer.result) });
    let why = "the filter returned 0";
    let unix = socket(libc::AF_UNIX);
    // SAFETY: as above.
    unsafe { page.refused("SOCKET of AF_UNIX", &mut ring, unix, Errno::EACCES, why) }?;

    let denied = register(ring.as_raw_fd(), &[ret(0)], SOCKET_PAYLOAD, 0);
    page.call("another filter for SOCKET: deny", denied)?;
    let why = "all filters must allow it: they only tighten";
    let inet = socket(libc::AF_INET);
    // SAFETY: as above.
    unsafe { page.refused("SOCKET of AF_INET", &mut ring, inet, Errno::EACCES, why) }?;

    mistakes(page, &ring)?;
    deny_the_rest(page)?;
    filter_this_thread(page, socket(libc::AF_INET))
}
// ANCHOR_END: show

fn mistakes(page: &mut Page, ring: &IoUring) -> Result<()> {
    let why = "the filter would look at more than the kernel shows of a SOCKET";
    let large = register(ring.as_raw_fd(), &[ret(1)], 64, 0);
    page.call_refused("pdu_size 64", large, Errno::EMSGSIZE, why)?;
    let strict = BPF_FILTER_FLAGS.code("SZ_STRICT");
    let why = "with SZ_STRICT it must be exactly what this kernel shows: 12";
    let small = register(ring.as_raw_fd(), &[ret(1)], 4, strict);
    page.call_refused("pdu_size 4, SZ_STRICT", small, Errno::EMSGSIZE, why)?;
    let why = "a program must end with a return";
    let endless = register(ring.as_raw_fd(), &[load(FAMILY)], SOCKET_PAYLOAD, 0);
    page.call_refused("a filter without a return", endless, Errno::EINVAL, why)
}

/// Without a filter, an operation is denied as well.
fn deny_the_rest(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let rest = BPF_FILTER_FLAGS.code("DENY_REST");
    let registered = register(ring.as_raw_fd(), &[ret(1)], SOCKET_PAYLOAD, rest);
    page.call("another ring: a filter for SOCKET, allow, DENY_REST", registered)?;
    let why = "NOP has no filter";
    // SAFETY: a NOP points at no memory.
    unsafe { page.refused("NOP", &mut ring, opcode::Nop::new().build(), Errno::EACCES, why) }
}

/// All rings that the thread sets up afterwards have the filter.
fn filter_this_thread(page: &mut Page, socket: squeue::Entry) -> Result<()> {
    page.call("a filter for this thread: deny SOCKET", register(-1, &[ret(0)], SOCKET_PAYLOAD, 0))?;
    let mut later = IoUring::new(4)?;
    let why = "the ring was set up after the filter";
    // SAFETY: the entry points at no memory.
    unsafe { page.refused("SOCKET on a new ring", &mut later, socket, Errno::EACCES, why) }
}

/// Where a filter finds a socket's family in `struct io_uring_bpf_ctx`, and how long that part is.
const FAMILY: u32 = 16;
const SOCKET_PAYLOAD: u8 = 12;

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

fn jump_if_equal(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, then, otherwise, value)
}

fn ret(value: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// `struct io_uring_bpf` with its `struct io_uring_bpf_filter`.
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
    program: *const libc::sock_filter,
    resv2: [u64; 5],
}

/// `io_uring_register_bpf_filter` for SOCKET, which the crate does not have.
fn register(
    ring: RawFd,
    program: &[libc::sock_filter],
    payload: u8,
    flags: u32,
) -> io::Result<u32> {
    let mut filter = Filter {
        command: BPF_COMMANDS.code("FILTER") as u16,
        command_flags: 0,
        resv: 0,
        operation: opcode::Socket::CODE.into(),
        flags,
        length: program.len() as u32,
        payload,
        resv1: [0; 3],
        program: program.as_ptr(),
        resv2: [0; 5],
    };
    let filter = std::ptr::from_mut(&mut filter);
    // SAFETY: the call reads the structure and the program, copies both, and may write the size
    // that it expects to the structure.
    unsafe { raw::register(ring, call("REGISTER_BPF_FILTER"), filter, 1) }
}
