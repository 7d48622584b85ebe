//! Rings of every kind, and what becomes of them.

use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::raw;
use super::shared::{nop, not_here, reap, submit};

/// 128-byte entries and 32-byte completions.
pub fn large() {
    let mut ring: IoUring<squeue::Entry128, cqueue::Entry32> =
        IoUring::builder().build(4).expect("a ring of large entries");
    for user_data in 1..=10 {
        let entry = squeue::Entry128::from(nop(user_data));
        // SAFETY: a NOP points at nothing.
        unsafe { ring.submission().push(&entry) }.expect("room");
        ring.submit_and_wait(1).expect("an enter");
        assert_eq!(ring.completion().count(), 1);
    }
}

pub fn two_rings() {
    let mut first = IoUring::new(2).expect("a ring");
    let mut second = IoUring::new(4).expect("a ring");
    submit(&mut first, &[nop(1)], 1);
    submit(&mut second, &[nop(2), nop(3)], 2);
    drop(first);
    submit(&mut second, &[nop(4)], 1);
}

/// Enters by the registered index, which the crate's own `submit` does not use.
pub fn registered() {
    let mut ring = IoUring::new(2).expect("a ring");
    let (submitter, mut submissions, mut completions) = ring.split();
    let mut submitter = submitter;
    submitter.register_ring_fd().expect("an index");
    for user_data in 1..=3 {
        // SAFETY: a NOP points at nothing.
        unsafe { submissions.push(&nop(user_data)) }.expect("room");
        submissions.sync();
        submitter.submit_and_wait(1).expect("an enter");
        completions.sync();
        assert_eq!(completions.by_ref().count(), 1);
    }
}

/// With the index array, more entries than the queue holds, in many rounds.
pub fn array() {
    let mut ring = IoUring::builder().build(4).expect("a ring");
    for round in 0..25 {
        let entries: Vec<_> = (0..4).map(|entry| nop(round * 4 + entry + 1)).collect();
        submit(&mut ring, &entries, 4);
        assert_eq!(reap(&mut ring), 4);
    }
}

/// Twelve completions for a queue of four.
pub fn overflow() {
    let mut ring = IoUring::builder().setup_cqsize(4).build(4).expect("a ring");
    for round in 0..3 {
        let entries: Vec<_> = (1..=4).map(|entry| nop(round * 4 + entry)).collect();
        submit(&mut ring, &entries, 0);
    }
    let mut reaped = 0;
    while reaped < 12 {
        reaped += reap(&mut ring);
        let _ = ring.submit_and_wait(1);
        reaped += reap(&mut ring);
    }
}

/// Closes a ring with an armed accept, and wants the port back while it still runs.
pub fn rebind() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let mut ring = IoUring::new(2).expect("a ring");
    let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(1);
    submit(&mut ring, &[accept], 0);
    drop(ring);
    drop(listener);
    // The kernel ends a ring a moment after its last descriptor.
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = TcpListener::bind(address) {
        assert!(Instant::now() < deadline, "the ring is still held: {error}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Asks for a larger ring than there is.
pub fn refused() {
    assert!(IoUring::new(70_000).is_err());
}

/// A ring in the program's own memory that has no descriptor, only an index.
pub fn own_memory() {
    const NO_MMAP: u32 = 1 << 14;
    const REGISTERED_FD_ONLY: u32 = 1 << 15;
    const NO_SQARRAY: u32 = 1 << 16;
    const REGISTERED_RING: u32 = 1 << 4;
    let (rings, sqes) = (raw::map(-1, 0, 4096), raw::map(-1, 0, 4096));
    let mut params: raw::Params = [0; 30];
    params[2] = NO_MMAP | REGISTERED_FD_ONLY | NO_SQARRAY;
    let words = |address: *mut u32| {
        let address = address as u64;
        [address as u32, (address >> 32) as u32]
    };
    params[18..20].copy_from_slice(&words(sqes));
    params[28..30].copy_from_slice(&words(rings));
    let Some(index) = raw::setup(4, &mut params) else {
        return not_here("NO_MMAP came with Linux 6.5, NO_SQARRAY with 6.6");
    };
    for user_data in 1..=10 {
        raw::publish_nop(&params, rings, sqes, user_data);
        raw::enter(index, 1, 1, REGISTERED_RING);
        // SAFETY: the mapping is live, and only this program moves the completions' head.
        unsafe { *rings.add(params[20] as usize / 4) += 1 };
    }
}

/// A program that writes nonsense over both ends of the completion queue.
pub fn garbled_tail() {
    const NO_SQARRAY: u32 = 1 << 16;
    let mut params: raw::Params = [0; 30];
    params[2] = NO_SQARRAY;
    let Some(fd) = raw::setup(4, &mut params) else {
        return not_here("NO_SQARRAY came with Linux 6.6");
    };
    let rings = raw::map(fd, raw::SQ_RING, params[25] as usize + params[1] as usize * 16);
    let sqes = raw::map(fd, raw::SQES, params[0] as usize * 64);
    for user_data in 1..=10 {
        raw::publish_nop(&params, rings, sqes, user_data);
        for end in [params[20], params[21]] {
            // SAFETY: the mapping is live, and the offset is the kernel's.
            unsafe { rings.add(end as usize / 4).write_volatile(1_000_000_000) };
        }
        raw::enter(fd, 0, 0, 0);
        raw::enter(fd, 1, 0, 0);
    }
}

/// A ring that grows while it has a completion in it.
pub fn resize() {
    const FLAGS: u32 = 1 << 12 | 1 << 13 | 1 << 16;
    const RESIZE_RINGS: u32 = 33;
    let mut params: raw::Params = [0; 30];
    params[2] = FLAGS;
    let Some(fd) = raw::setup(2, &mut params) else {
        return not_here("NO_SQARRAY came with Linux 6.6");
    };
    let bytes = |params: &raw::Params| params[25] as usize + params[1] as usize * 16;
    let rings = raw::map(fd, raw::SQ_RING, bytes(&params));
    let sqes = raw::map(fd, raw::SQES, params[0] as usize * 64);
    raw::publish_nop(&params, rings, sqes, 1);
    raw::enter(fd, 1, 1, 0);
    let mut larger: raw::Params = [0; 30];
    larger[0] = 16;
    if raw::register(fd, RESIZE_RINGS, &mut larger) < 0 {
        return not_here("resizing came with Linux 6.13");
    }
    let rings = raw::map(fd, raw::SQ_RING, bytes(&larger));
    let sqes = raw::map(fd, raw::SQES, larger[0] as usize * 64);
    for user_data in 2..=9 {
        raw::publish_nop(&larger, rings, sqes, user_data);
    }
    raw::enter(fd, 8, 9, 0);
}
