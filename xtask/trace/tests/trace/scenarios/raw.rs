//! `io_uring_setup` and related calls without the crate, for what the crate cannot do.

use std::ptr;

pub const SQ_RING: libc::off_t = 0;
pub const SQES: libc::off_t = 0x1000_0000;

/// `struct io_uring_params` as its 30 words.
pub type Params = [u32; 30];

pub fn setup(entries: u32, params: &mut Params) -> Option<libc::c_int> {
    // SAFETY: the kernel reads and writes the 120 bytes before the call returns.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, params.as_mut_ptr()) };
    libc::c_int::try_from(fd).ok().filter(|fd| *fd >= 0)
}

pub fn register(fd: libc::c_int, operation: u32, params: &mut Params) -> libc::c_long {
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_io_uring_register, fd, operation, params.as_mut_ptr(), 1) }
}

pub fn enter(fd: libc::c_int, submit: u32, wait: u32, flags: u32) {
    const GETEVENTS: u32 = 1;
    let null = ptr::null::<libc::c_void>();
    // SAFETY: no pointer goes in.
    let taken = unsafe {
        libc::syscall(libc::SYS_io_uring_enter, fd, submit, wait, flags | GETEVENTS, null, 0)
    };
    assert_eq!(taken, libc::c_long::from(submit));
}

/// Maps memory: of a ring's descriptor, or new memory if `fd` is negative.
pub fn map(fd: libc::c_int, offset: libc::off_t, length: usize) -> *mut u32 {
    let flags = if fd < 0 { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS } else { libc::MAP_SHARED };
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping touches no memory of ours.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, fd, offset) };
    assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    start.cast()
}

/// Publishes a NOP in a ring without an index array.
pub fn publish_nop(params: &Params, rings: *mut u32, sqes: *mut u32, user_data: u32) {
    let tail = params[11] as usize / 4;
    // SAFETY: both mappings are live, and the offsets are the kernel's. Only this program
    // writes the tail, and the entry is behind it until it is published.
    unsafe {
        let at = *rings.add(tail);
        let entry = sqes.add((at & (params[0] - 1)) as usize * 16);
        ptr::write_bytes(entry, 0, 16);
        *entry.add(8) = user_data;
        rings.add(tail).write_volatile(at + 1);
    }
}
