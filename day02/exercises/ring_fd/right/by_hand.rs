use std::env;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize =
        args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let first: u64 =
        args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let mut ring = IoUring::new(8)?;
    send(&mut ring, count, first)
}

/// Registers the ring, and sends the NOPs one after the other.
fn send(ring: &mut IoUring, count: usize, first: u64) -> Result<()> {
    let fd = ring.as_raw_fd();
    let (_, mut sq, mut cq) = ring.split();
    // `struct io_uring_rsrc_update`: any index, the descriptor.
    let mut update = [u32::MAX, 0, fd as u32, 0];
    // SAFETY: the kernel reads and writes the 16 bytes before it returns.
    let taken = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            fd,
            20,
            update.as_mut_ptr(),
            1,
        )
    };
    ensure!(taken == 1, "not registered: {}", std::io::Error::last_os_error());
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { sq.push(&entry) }?;
        sq.sync();
        let flags = 1 | 1 << 4;
        let (none, size) = (std::ptr::null::<u8>(), 0_usize);
        // SAFETY: no argument structure: the kernel reads no memory but the queues.
        unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                update[0],
                1,
                1,
                flags,
                none,
                size,
            )
        };
        cq.sync();
        let completion = cq.next().context("a wait without a completion")?;
        ensure!(completion.user_data() == tag, "a completion of another NOP");
    }
    Ok(())
}
