//! REGISTERED_FD_ONLY: no descriptor, only an index.
//!
//! Since 6.5, with NO_MMAP. The setup returns an index in the thread's own table of registered
//! rings. liburing: `io_uring_queue_init_mem`; crate: none (`atlas::own_ring`).
//! For libraries that want no descriptor in the process, which could leak over an exec(2), be
//! passed on, or be closed by a program that closes all. Only the thread that has the index can use
//! it.

use std::ptr;
use std::thread;

use atlas::own_ring::OwnRing;
use atlas::{Entry, Page, Result, raw};
use common::catalog::{REGISTER_FLAGS, REGISTER_OPERATIONS};
use io_uring::opcode;
use nix::errno::Errno;

use super::flag;
use crate::look;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_SETUP_REGISTERED_FD_ONLY", "IORING_ENTER_REGISTERED_RING"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let before = look::descriptors()?;
    let built = OwnRing::setup(4, flag("NO_MMAP") | flag("REGISTERED_FD_ONLY"));
    let (name, asked) = ("IORING_SETUP_REGISTERED_FD_ONLY", "NO_MMAP, REGISTERED_FD_ONLY");
    let Some(mut ring) = page.call_since(name, asked, built)? else { return Ok(()) };
    page.note("the index", ring.number());
    page.saw("/proc/self/fd has no new descriptor", look::descriptors()? == before)?;
    // SAFETY: a NOP points at no memory.
    unsafe { ring.push(&opcode::Nop::new().build().user_data(7)) };
    page.call("a NOP, entered with REGISTERED_RING", ring.enter(1, 1))?;
    let completed = ring.completion().is_some_and(|answer| answer.user_data == 7);
    page.saw("it completed", completed)?;

    let index = ring.number();
    let enabled = thread::scope(|scope| scope.spawn(|| enable(index)).join());
    let why = "the index is one of the thread that set the ring up: here there is no such";
    let enabled = enabled.expect("the thread does not panic");
    page.call_refused("a register call by another thread", enabled, Errno::EINVAL, why)?;
    let alone = raw::ring(4, flag("REGISTERED_FD_ONLY"));
    let why = "without NO_MMAP the program needs the descriptor for mmap(2)";
    page.call_refused("REGISTERED_FD_ONLY alone", alone, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// `IORING_REGISTER_ENABLE_RINGS` of the ring with this index.
fn enable(index: i32) -> std::io::Result<u32> {
    let call = REGISTER_OPERATIONS.code("REGISTER_ENABLE_RINGS");
    let call = call | REGISTER_FLAGS.code("USE_REGISTERED_RING");
    // SAFETY: the call takes no memory.
    unsafe { raw::register(index, call, ptr::null::<u8>(), 0) }
}
