//! overflow, with a queue that is made larger when it has overflowed
//! (IORING_REGISTER_RESIZE_RINGS, Linux 6.13); before, with another, larger
//! ring.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, ptr};

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode};

/// `struct io_uring_params` as words: sizes, flags, and where things lie in
/// the new mapping.
type Params = [u32; 30];

const RESIZE_RINGS: u32 = 33;
const GETEVENTS: u32 = 1;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize = args.next().context("COUNT")?.parse()?;
    let first: u64 = args.next().context("FIRST")?.parse()?;
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(8)
        .build(8)?;
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        if ring.submission().is_full() {
            ring.submit()?;
        }
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit()?;

    let mut params: Params = [0; 30];
    (params[0], params[1], params[2]) = (8, 64, 1 << 3);
    let fd = ring.as_raw_fd();
    // SAFETY: the parameters live over the call.
    let resized = unsafe {
        let number = libc::SYS_io_uring_register;
        libc::syscall(number, fd, RESIZE_RINGS, params.as_mut_ptr(), 1)
    };
    if resized < 0 {
        let _larger: IoUring = IoUring::builder().setup_cqsize(64).build(8)?;
        return Ok(());
    }
    // SAFETY: no argument structure; the old mapping stays as it is.
    let queue: *mut u8 = unsafe {
        let number = libc::SYS_io_uring_enter;
        let fetched = libc::syscall(number, fd, 0, 0, GETEVENTS, 0, 0);
        ensure!(fetched >= 0, "nothing was fetched");
        let length = params[25] as usize + 64 * 16;
        let how = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        libc::mmap(ptr::null_mut(), length, how.0, how.1, fd, 0).cast()
    };
    ensure!(queue.cast() != libc::MAP_FAILED, "no mapping of the new queue");
    // SAFETY: offsets into that mapping, which the kernel has given.
    unsafe {
        let word = |at: u32| &*queue.add(at as usize).cast::<AtomicU32>();
        let (head, tail) = (word(params[20]), word(params[21]));
        let entries = queue.add(params[25] as usize);
        while head.load(Ordering::Relaxed) != tail.load(Ordering::Acquire) {
            let at = head.load(Ordering::Relaxed);
            let entry = entries.add((at % 64) as usize * 16);
            println!("{}", entry.cast::<u64>().read());
            head.store(at + 1, Ordering::Release);
        }
    }
    Ok(())
}
