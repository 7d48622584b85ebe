//! Threads and processes, and programs that sleep.

use std::sync::Mutex;

use io_uring::{IoUring, types};

use super::raw;
use super::shared::{AGAIN, nop, reap, submit, timeout};

/// One ring that four threads take turns with.
pub fn threads() {
    let ring = Mutex::new(IoUring::new(8).expect("a ring"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ring = &ring;
            scope.spawn(move || {
                for turn in 0..25 {
                    let mut ring = ring.lock().expect("the ring");
                    submit(&mut ring, &[nop(thread * 100 + turn)], 1);
                    assert_eq!(reap(&mut ring), 1);
                }
            });
        }
    });
}

/// One thread submits, another waits for the completions of the same ring.
pub fn submits_and_waits() {
    const COUNT: usize = 500;
    let ring = IoUring::new(64).expect("a ring");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut reaped = 0;
            while reaped < COUNT {
                const GETEVENTS: u32 = 1;
                // SAFETY: it submits nothing and brings no argument.
                unsafe { ring.submitter().enter::<libc::sigset_t>(0, 1, GETEVENTS, None) }
                    .expect("an enter");
                // SAFETY: no other thread reaps.
                reaped += unsafe { ring.completion_shared() }.count();
            }
        });
        for user_data in 1..=COUNT as u64 {
            // SAFETY: no other thread pushes, and a NOP points at nothing.
            unsafe { ring.submission_shared().push(&nop(user_data)) }.expect("room");
            ring.submit().expect("an enter");
        }
    });
}

/// A child that has its own ring, and a child that ends at once.
pub fn fork() {
    let again = |scenario: &str| {
        let program = std::env::current_exe().expect("this program");
        let mut command = std::process::Command::new(program);
        command.args(AGAIN).env("TRACED", scenario);
        assert!(command.status().expect("a child").success());
    };
    let mut ring = IoUring::new(2).expect("a ring");
    again("nops");
    again("no_ring");
    submit(&mut ring, &[nop(9)], 1);
}

/// Sleeps in the kernel until it is killed.
pub fn hang() {
    let mut ring = IoUring::new(2).expect("a ring");
    submit(&mut ring, &[timeout(&types::Timespec::new().sec(600))], 1);
}

/// The variable that names the descriptor of a ring, for [`inherited`].
pub const RING: &str = "TRACED_RING";

/// Sleeps in a ring that it got from its parent, and that the tracer does not follow.
pub fn inherited() {
    let Some(fd) = std::env::var(RING).ok().and_then(|fd| fd.parse().ok()) else { return };
    raw::enter(fd, 0, 1, 0);
}
