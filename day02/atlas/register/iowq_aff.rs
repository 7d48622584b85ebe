//! REGISTER_IOWQ_AFF, UNREGISTER_IOWQ_AFF: bind the workers to CPUs.
//!
//! Since 5.14. Takes a set of CPUs, as sched_setaffinity(2) does; liburing:
//! `io_uring_register_iowq_aff`; crate: `Submitter::register_iowq_aff`.
//! Holds for the workers of the calling thread, whichever of its rings is named (with SQPOLL: of
//! that ring's poller). A worker is bound when it starts: those that run already stay where they
//! are, so call it before the first work. CPUs that the machine does not have are ignored.

use std::os::fd::AsRawFd;
use std::{ptr, thread};

use atlas::{Entry, Page, Result, raw};
use common::environment;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::call;
use crate::look;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_REGISTER_IOWQ_AFF", "IORING_UNREGISTER_IOWQ_AFF"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    // A new thread, since its workers are bound.
    let bound = thread::scope(|scope| scope.spawn(|| bind_workers(page)).join());
    bound.expect("the thread does not panic")
}

fn bind_workers(page: &mut Page) -> Result<()> {
    let Some(cpu) = environment::online_cpus().into_iter().last() else { return Ok(()) };
    let mut ring = IoUring::new(4)?;
    let bound = ring.submitter().register_iowq_aff(&only(cpu as usize));
    let name = "IORING_REGISTER_IOWQ_AFF";
    if page.call_since(name, &format!("register_iowq_aff: CPU {cpu}"), bound)?.is_none() {
        return Ok(());
    }
    let by_a_worker = opcode::Nop::new().build().flags(squeue::Flags::ASYNC);
    // SAFETY: a NOP points at no memory.
    unsafe { page.ask("NOP with IOSQE_ASYNC: a worker starts", &mut ring, by_a_worker) }?;
    let workers = look::workers_of_this_thread()?;
    page.saw("/proc/self/task: this thread has a worker", !workers.is_empty())?;
    let cpus = || look::status(workers[0], "Cpus_allowed_list");
    page.saw("it may use that CPU only", cpus()? == Some(cpu.to_string()))?;

    page.call("unregister_iowq_aff", ring.submitter().unregister_iowq_aff())?;
    page.saw("the worker that runs is bound still", cpus()? == Some(cpu.to_string()))?;
    // SAFETY: the call gets no memory.
    let nothing = unsafe { raw::register(ring.as_raw_fd(), call("REGISTER_IOWQ_AFF"), NOTHING, 8) };
    page.call_refused(
        "register_iowq_aff: null",
        nothing,
        Errno::EINVAL,
        "a set of CPUs is missing",
    )?;
    // SAFETY: as above.
    let outside = unsafe { raw::register(ring.as_raw_fd(), call("REGISTER_IOWQ_AFF"), NOBODYS, 8) };
    page.call_refused("register_iowq_aff: address 16", outside, Errno::EFAULT, "not the program's")
}
// ANCHOR_END: show

const NOTHING: *const u8 = ptr::null();
const NOBODYS: *const u8 = ptr::without_provenance(16);

/// A set of one CPU.
fn only(cpu: usize) -> libc::cpu_set_t {
    // SAFETY: the set is an array of bits, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: it has 1024 bits.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    set
}
