//! Entries and their answers.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use io_uring::{IoUring, opcode, squeue, types};

use super::shared::{nop, not_here, push, reap, submit};

/// Three entries by two enters; the last completion is left in the queue.
pub fn nops() {
    let mut ring = IoUring::new(8).expect("a ring");
    submit(&mut ring, &[nop(u64::from_ne_bytes(*b"hello\0\0\0")), nop(2)], 2);
    assert_eq!(reap(&mut ring), 2);
    submit(&mut ring, &[nop(3)], 1);
}

/// Hides its memory, as programs that hold secrets do.
pub fn unreadable() {
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    nops();
}

/// A chain that breaks: the second entry fails, the third is cancelled.
pub fn links() {
    let mut ring = IoUring::new(4).expect("a ring");
    let linked = squeue::Flags::IO_LINK;
    let bad = opcode::Read::new(types::Fd(-1), std::ptr::null_mut(), 0).build().user_data(2);
    submit(&mut ring, &[nop(1).flags(linked), bad.flags(linked), nop(3)], 3);
    assert_eq!(reap(&mut ring), 3);
}

/// Entries that were never filled in.
pub fn garbage() {
    let mut ring = IoUring::new(64).expect("a ring");
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..500 {
        let mut bytes = [0_u8; 64];
        random.fill(&mut bytes);
        // An operation that no kernel has, so that nothing happens to this machine.
        bytes[0] |= 0x80;
        // SAFETY: an entry is 64 bytes of plain data, and the kernel refuses this operation
        // before it looks at any address in it.
        let entry: squeue::Entry = unsafe { std::mem::transmute(bytes) };
        push(&mut ring, &entry);
        let _ = ring.submit_and_wait(1);
        reap(&mut ring);
    }
}

/// Every entry carries the same `user_data`; one of them is a timeout.
pub fn same_user_data() {
    let mut ring = IoUring::new(4).expect("a ring");
    let time = types::Timespec::new().nsec(1_000_000);
    let timeout = opcode::Timeout::new(&time).build().user_data(0);
    submit(&mut ring, &[timeout, nop(0), nop(0)], 3);
    assert_eq!(reap(&mut ring), 3);
}

/// Ends while a worker of the kernel waits for another process to open the other end. The worker
/// may not have begun to wait, so the test removes the FIFO.
pub fn fifo() {
    let path = std::env::temp_dir().join(format!("xtask-fifo-{}", std::process::id()));
    let path = std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).expect("a path");
    // SAFETY: `path` ends with a zero, and lives until the end.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let mut ring = IoUring::new(2).expect("a ring");
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
    submit(&mut ring, &[open.flags(squeue::Flags::ASYNC).user_data(1)], 0);
}

/// Two receives into provided buffers: the first takes one, the second three.
pub fn bundle() {
    #[repr(C, align(4096))]
    struct Page([[u64; 2]; 4]);
    const GROUP: u16 = 7;
    const IDS: [u16; 4] = [2, 0, 3, 1];
    let mut text = [0; 16];
    let mut page = Box::new(Page([[0; 2]; 4]));
    let buffers = page.0.as_mut_ptr().cast::<types::BufRingEntry>();
    for (nth, id) in IDS.into_iter().enumerate() {
        // SAFETY: an entry of a ring of buffers has 16 bytes, and the page holds four.
        let buffer = unsafe { &mut *buffers.add(nth) };
        buffer.set_addr(text[4 * nth..].as_mut_ptr() as u64);
        buffer.set_len(4);
        buffer.set_bid(id);
    }
    let mut ring = IoUring::new(2).expect("a ring");
    // SAFETY: the page and the buffers live until the process ends, and with it the ring.
    if unsafe { ring.submitter().register_buf_ring_with_flags(buffers as u64, 4, GROUP, 0) }
        .is_err()
    {
        not_here("no rings of buffers before Linux 5.19");
    }
    // SAFETY: the tail lies in the first entry, and only this program writes to it.
    unsafe { types::BufRingEntry::tail(buffers).cast_mut().write_volatile(4) };
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    let receive = opcode::RecvBundle::new(types::Fd(ours.as_raw_fd()), GROUP).build();
    for (nth, sent) in ["abcd", "hello world!"].into_iter().enumerate() {
        (&theirs).write_all(sent.as_bytes()).expect("room");
        submit(&mut ring, &[receive.clone().user_data(nth as u64)], 1);
        let answer = ring.completion().next().expect("a completion").result();
        if answer == -libc::EINVAL {
            not_here("no bundles before Linux 6.10");
        }
        assert_eq!(answer, sent.len() as i32);
    }
    drop(ring);
}
