//! Rings that a thread of the kernel polls.

use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use io_uring::{IoUring, opcode, squeue, types};

use super::shared::{nop, push, reap};

/// A hundred entries that a kernel thread takes, one after the other.
pub fn sqpoll() {
    let mut ring = IoUring::builder().setup_sqpoll(50).build(4).expect("a polled ring");
    for user_data in 1..=100 {
        push(&mut ring, &nop(user_data));
        let _ = ring.submit();
        while reap(&mut ring) == 0 {
            std::hint::spin_loop();
        }
    }
}

/// Entries for a worker and for the polling thread itself, in turns.
pub fn sqpoll_forced() {
    let mut ring = IoUring::builder().setup_sqpoll(1000).build(4).expect("a polled ring");
    for user_data in 1..=100 {
        let forced = if user_data % 2 == 0 { squeue::Flags::ASYNC } else { squeue::Flags::empty() };
        push(&mut ring, &nop(user_data).flags(forced));
        let _ = ring.submit();
        while reap(&mut ring) == 0 {
            std::hint::spin_loop();
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Opens a file again and again; the path's memory is used for something else as soon as an
/// entry is answered.
pub fn sqpoll_path() {
    let mut ring = IoUring::builder().setup_sqpoll(1000).build(8).expect("a polled ring");
    let mut path = [0; 10];
    for user_data in 1..=200 {
        path.copy_from_slice(b"/dev/null\0");
        let cwd = types::Fd(libc::AT_FDCWD);
        let open = opcode::OpenAt::new(cwd, path.as_ptr().cast()).flags(libc::O_RDONLY);
        push(&mut ring, &open.build().user_data(user_data));
        let _ = ring.submit();
        let completion = loop {
            if let Some(completion) = ring.completion().next() {
                break completion;
            }
        };
        path.copy_from_slice(b"/not/this\0");
        std::hint::black_box(&mut path);
        // SAFETY: the kernel opened it for this very completion.
        drop(unsafe { OwnedFd::from_raw_fd(completion.result()) });
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// More than the tracer can see: NOPs at full speed.
pub fn sqpoll_flood() {
    const COUNT: u64 = 200_000;
    let mut ring = IoUring::builder().setup_sqpoll(1000).build(256).expect("a polled ring");
    let (mut pushed, mut reaped) = (0, 0);
    while reaped < COUNT {
        while pushed < COUNT && pushed - reaped < 400 {
            // SAFETY: a NOP points at nothing.
            if unsafe { ring.submission().push(&nop(pushed + 1)) }.is_err() {
                break;
            }
            pushed += 1;
        }
        let _ = ring.submit();
        reaped += reap(&mut ring) as u64;
    }
}
