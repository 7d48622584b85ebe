//! REGISTER_RESTRICTIONS: limit what the ring may do.
//!
//! Since 5.10, on a ring with R_DISABLED, once. Takes a list of what is allowed: register calls,
//! operations, entry flags that may and that must be set. What is not on it gets EACCES from the
//! moment the ring is enabled. liburing: `io_uring_register_restrictions`; crate:
//! `Submitter::register_restrictions`.
//! For a ring that untrusted code uses. Since 7.0 a thread can restrict itself (the descriptor is
//! -1): all rings that it sets up afterwards are bound, and those of its children.

use std::io;
use std::thread;

use atlas::{Entry, Page, Result, Where, raw};
use common::catalog::RESTRICTIONS;
use io_uring::register::Restriction;
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;

use super::{call, without_a_ring};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_RESTRICTIONS",
        "IORING_RESTRICTION_REGISTER_OP",
        "IORING_RESTRICTION_SQE_OP",
        "IORING_RESTRICTION_SQE_FLAGS_ALLOWED",
        "IORING_RESTRICTION_SQE_FLAGS_REQUIRED",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring: IoUring = IoUring::builder().setup_r_disabled().build(4)?;
    let mut list = [
        Restriction::sqe_op(opcode::Nop::CODE),
        Restriction::sqe_flags_allowed(squeue::Flags::ASYNC.bits()),
        Restriction::register_op(call("REGISTER_PROBE") as u8),
    ];
    let registered = ring.submitter().register_restrictions(&mut list);
    page.call("allow NOP, IOSQE_ASYNC and REGISTER_PROBE", registered)?;
    let again = ring.submitter().register_restrictions(&mut list);
    page.call_refused("register_restrictions again", again, Errno::EBUSY, "it can be done once")?;
    page.call("register_enable_rings", ring.submitter().register_enable_rings())?;

    let nop = opcode::Nop::new().build();
    // SAFETY: here and below, the entries point at no memory.
    unsafe {
        page.ask("NOP with IOSQE_ASYNC", &mut ring, nop.clone().flags(squeue::Flags::ASYNC))
    }?;
    let why = "the flag is not on the list";
    let linked = nop.clone().flags(squeue::Flags::IO_LINK);
    // SAFETY: as above.
    unsafe { page.refused("NOP with IOSQE_IO_LINK", &mut ring, linked, Errno::EACCES, why) }?;
    let why = "the operation is not on the list";
    let close = opcode::Close::new(types::Fd(-1)).build();
    // SAFETY: as above.
    unsafe { page.refused("CLOSE", &mut ring, close, Errno::EACCES, why) }?;
    let files = ring.submitter().register_files(&[-1]);
    page.call_refused("register_files", files, Errno::EACCES, "the call is not on the list")?;

    let late = IoUring::new(4)?.submitter().register_restrictions(&mut list);
    let why = "the ring is enabled: it needs R_DISABLED";
    page.call_refused("register_restrictions, too late", late, Errno::EBADFD, why)?;
    demanded(page)?;
    // A new thread: it never gets back what it gives up.
    let alone = thread::scope(|scope| scope.spawn(|| restrict_this_thread(page)).join());
    alone.expect("the thread does not panic")
}
// ANCHOR_END: show

/// Flags that every entry must have.
fn demanded(page: &mut Page) -> Result<()> {
    let mut ring: IoUring = IoUring::builder().setup_r_disabled().build(4)?;
    let mut list = [
        Restriction::sqe_op(opcode::Nop::CODE),
        Restriction::sqe_flags_required(squeue::Flags::ASYNC.bits()),
    ];
    let registered = ring.submitter().register_restrictions(&mut list);
    page.call("another ring: allow NOP, demand IOSQE_ASYNC", registered)?;
    ring.submitter().register_enable_rings()?;
    let nop = opcode::Nop::new().build();
    let why = "the flag is demanded";
    // SAFETY: here and below, a NOP points at no memory.
    unsafe { page.refused("NOP without it", &mut ring, nop.clone(), Errno::EACCES, why) }?;
    // SAFETY: as above.
    unsafe { page.ask("NOP with it", &mut ring, nop.flags(squeue::Flags::ASYNC)) }.map(drop)
}

/// `struct io_uring_task_restriction` with one `struct io_uring_restriction`.
#[repr(C)]
struct OfTask {
    flags: u16,
    number: u16,
    resv: [u32; 3],
    /// Its kind and its value, in the first four bytes.
    restriction: [u32; 4],
}

/// Allows this thread's rings an operation, and no other.
fn allow_only(operation: u8) -> io::Result<u32> {
    let [low, high] = (RESTRICTIONS.code("SQE_OP") as u16).to_ne_bytes();
    let first = u32::from_ne_bytes([low, high, operation, 0]);
    let of_task = OfTask { flags: 0, number: 1, resv: [0; 3], restriction: [first, 0, 0, 0] };
    // SAFETY: the call reads the structure and the one restriction in it.
    without_a_ring(unsafe { raw::register(-1, call("REGISTER_RESTRICTIONS"), &of_task, 1) })
}

fn restrict_this_thread(page: &mut Page) -> Result<()> {
    // For this thread only: a program that it starts gets no more rights than it has.
    // SAFETY: the call takes no memory.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let restricted = allow_only(opcode::Nop::CODE);
    if matches!(&restricted, Err(error) if error.raw_os_error() == Some(libc::EINVAL)) {
        let what = "restrictions of a thread (the descriptor -1)";
        return page.cannot(what, "needs Linux 7.0", Where::NewerKernel);
    }
    page.call("allow this thread NOP only, ring -1", restricted)?;
    let mut ring = IoUring::new(4)?;
    // SAFETY: here and below, the entries point at no memory.
    unsafe { page.ask("NOP on a new ring", &mut ring, opcode::Nop::new().build()) }?;
    let close = opcode::Close::new(types::Fd(-1)).build();
    let why = "the thread took it from itself";
    // SAFETY: as above.
    unsafe { page.refused("CLOSE on a new ring", &mut ring, close, Errno::EACCES, why) }?;
    let again = allow_only(opcode::Close::CODE);
    let why = "it can be done once, and not loosened";
    page.call_refused("allow this thread CLOSE", again, Errno::EPERM, why)
}
