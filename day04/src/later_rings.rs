//! Restricts rings that a thread sets up later: Linux 7.0. The crate has no call for it.

use io_uring::register::Restriction;
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;

/// `struct io_uring_task_restriction`, with its list: `Restriction` is the kernel's own structure.
#[repr(C)]
struct OfTask<const N: usize> {
    flags: u16,
    number: u16,
    resv: [u32; 3],
    list: [Restriction; N],
}

/// From now on, the rings that this thread sets up take only what is on the list. The same is true
/// of every thread and program that it starts.
pub fn restrict<const N: usize>(list: [Restriction; N]) -> Result<(), Errno> {
    const REGISTER_RESTRICTIONS: u32 = 11; // `linux/io_uring.h`
    let of_task = OfTask { flags: 0, number: N as u16, resv: [0; 3], list };
    // Otherwise only root may restrict: a program with more rights must not run with our limits.
    set_no_new_privs()?;
    let (call, no_ring, argument) = (libc::SYS_io_uring_register, -1, &raw const of_task);
    // SAFETY: the kernel copies the structure, and takes no other memory.
    let restricted = unsafe { libc::syscall(call, no_ring, REGISTER_RESTRICTIONS, argument, 1) };
    Errno::result(restricted).map(drop)
}
