//! The calls of `io_uring_register(2)`: what a ring gets, and what it answers, apart from entries.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::FromRawFd;

use atlas::Result;
use common::catalog::REGISTER_OPERATIONS;
use nix::errno::Errno;

mod bpf_filter;
mod buffers;
mod buffers2;
mod buffers_update;
mod clock;
mod clone_buffers;
mod enable_rings;
mod eventfd;
mod eventfd_async;
mod file_alloc_range;
mod files;
mod files2;
mod files_update;
mod files_update2;
mod iowq_aff;
mod iowq_max_workers;
mod mem_region;
mod napi;
mod pbuf_ring;
mod pbuf_status;
mod personality;
mod probe;
mod query;
mod resize_rings;
mod restrictions;
mod ring_fds;
mod send_msg_ring;
mod sync_cancel;
mod use_registered_ring;
mod zcrx_ctrl;
mod zcrx_ifq;

pub use ring_fds::Place;

/// The entries of this family, in the order of the calls.
pub const ENTRIES: &[atlas::Entry] = &[
    buffers::ENTRY,
    files::ENTRY,
    eventfd::ENTRY,
    files_update::ENTRY,
    eventfd_async::ENTRY,
    probe::ENTRY,
    personality::ENTRY,
    restrictions::ENTRY,
    enable_rings::ENTRY,
    files2::ENTRY,
    files_update2::ENTRY,
    buffers2::ENTRY,
    buffers_update::ENTRY,
    iowq_aff::ENTRY,
    iowq_max_workers::ENTRY,
    ring_fds::ENTRY,
    pbuf_ring::ENTRY,
    sync_cancel::ENTRY,
    file_alloc_range::ENTRY,
    pbuf_status::ENTRY,
    napi::ENTRY,
    clock::ENTRY,
    clone_buffers::ENTRY,
    send_msg_ring::ENTRY,
    zcrx_ifq::ENTRY,
    resize_rings::ENTRY,
    mem_region::ENTRY,
    query::ENTRY,
    zcrx_ctrl::ENTRY,
    bpf_filter::ENTRY,
    use_registered_ring::ENTRY,
];

/// The number of a register call: `call("REGISTER_QUERY")` for `IORING_REGISTER_QUERY`.
const fn call(short: &str) -> u32 {
    REGISTER_OPERATIONS.code(short)
}

/// Pages of memory, for buffers.
#[repr(C, align(4096))]
struct Pages<const N: usize>([[u8; 4096]; N]);

/// A buffer as the kernel wants it described.
fn iovec(memory: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: memory.len() }
}

/// An eventfd, whose number is 0.
fn new_eventfd() -> Result<File> {
    // SAFETY: the call takes no memory.
    let descriptor = Errno::result(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK) })?;
    // SAFETY: the descriptor is new and has no other owner.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// How often an eventfd was signalled since this was last asked.
fn count(eventfd: &mut File) -> Result<u64> {
    let mut number = [0; 8];
    match eventfd.read_exact(&mut number) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        read => Ok(read.map(|()| u64::from_ne_bytes(number))?),
    }
}

/// The answer to a register call that needs no ring, made with the descriptor -1. Linux before 6.13
/// has no such calls: it answers EBADF, which here means that the kernel does not know the call.
fn without_a_ring(answer: io::Result<u32>) -> io::Result<u32> {
    answer.map_err(|error| match error.raw_os_error() {
        Some(libc::EBADF) => Errno::EINVAL.into(),
        _ => error,
    })
}
