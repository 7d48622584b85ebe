//! What a ring of `--sandbox` refuses: all that the server does not use.

use clap::Parser;
use common::ring;
use io_uring::{IoUring, squeue};
use testkit::io_uring_or_skip;

use super::*;
use crate::Options;

/// A ring as `serve` makes it, locked in a thread of its own: that thread's later rings are, too.
fn with_a_locked_ring(test: &str, look: impl FnOnce(IoUring) + Send) {
    if !io_uring_or_skip(test) {
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let options = Options::parse_from(["day04", "--sandbox"]);
            let (ring, _) = ring::build_best(&options.ring(), 8).unwrap();
            Sandbox::lock(&ring.submitter()).unwrap();
            look(ring);
        });
    });
}

/// An entry of all zeros but for the operation, the flags and a descriptor that is not open.
fn entry(operation: u8, flags: squeue::Flags) -> squeue::Entry {
    let mut entry = opcode::Close::new(io_uring::types::Fd(-1)).build().flags(flags);
    // SAFETY: an entry is a transparent `struct io_uring_sqe`, which begins with the operation.
    unsafe { std::ptr::from_mut(&mut entry).cast::<u8>().write(operation) };
    entry
}

fn ask(ring: &mut IoUring, entry: &squeue::Entry) -> i32 {
    // SAFETY: its address and its length are 0.
    unsafe { ring.submission().push(entry) }.unwrap();
    ring.submit_and_wait(1).unwrap();
    ring.completion().next().unwrap().result()
}

#[test]
fn every_other_operation_is_refused() {
    with_a_locked_ring("every_other_operation_is_refused", |mut ring| {
        for operation in (0..=127).filter(|code| !OPERATIONS.contains(code)) {
            let answer = ask(&mut ring, &entry(operation, squeue::Flags::empty()));
            // What this kernel does not have, or not for a ring of such entries, is EINVAL.
            let unknown = answer == -libc::EINVAL && operation > opcode::FutexWaitV::CODE;
            assert!(answer == -libc::EACCES || unknown, "operation {operation}: {answer}");
        }
        let close = ask(&mut ring, &entry(opcode::Close::CODE, squeue::Flags::empty()));
        assert_eq!(close, -libc::EBADF, "a CLOSE is allowed");
    });
}

#[test]
fn every_other_flag_is_refused() {
    with_a_locked_ring("every_other_flag_is_refused", |mut ring| {
        for flag in [squeue::Flags::ASYNC, squeue::Flags::IO_DRAIN, squeue::Flags::IO_HARDLINK] {
            let answer = ask(&mut ring, &entry(opcode::Close::CODE, flag));
            assert_eq!(answer, -libc::EACCES, "{flag:?}");
        }
    });
}

#[test]
fn nothing_can_be_registered_or_loosened() {
    with_a_locked_ring("nothing_can_be_registered_or_loosened", |ring| {
        let submitter = ring.submitter();
        let mut all = [Restriction::sqe_op(opcode::OpenAt::CODE)];
        for (call, answer) in [
            ("register_files", submitter.register_files(&[-1])),
            ("register_personality", submitter.register_personality().map(drop)),
            ("register_restrictions", submitter.register_restrictions(&mut all)),
            ("register_enable_rings", submitter.register_enable_rings()),
        ] {
            let code = answer.unwrap_err().raw_os_error().unwrap();
            assert_eq!(code, libc::EACCES, "{call}");
        }
    });
}

#[test]
fn a_later_ring_takes_nothing_where_the_kernel_can_lock_it() {
    with_a_locked_ring("a_later_ring_takes_nothing_where_the_kernel_can_lock_it", |_ring| {
        let locked = restrict_later_rings() == Err(Errno::EPERM);
        let mut later = IoUring::new(8).unwrap();
        let close = ask(&mut later, &entry(opcode::Close::CODE, squeue::Flags::empty()));
        assert_eq!(close, if locked { -libc::EACCES } else { -libc::EBADF });
    });
}
