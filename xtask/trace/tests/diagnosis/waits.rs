//! Programs that wait for a completion that does not come, and programs that do not wait.

use std::ffi::CString;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, opcode, squeue, types};

use super::{eventfd, here, nop, pair, pipe, provide, push, read, receive, ring, run, take};

pub fn waits_for_more(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    take(&mut ring, if mended { 1 } else { 2 });
}

pub fn throws_answers_away(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    push(&mut ring, nop(), 2);
    let all = take(&mut ring, 2);
    assert_eq!(all.len(), 2);
    if !mended {
        take(&mut ring, 1);
    }
}

pub fn endless_timeout(mended: bool) {
    let mut ring = ring();
    let (seconds, nanoseconds) = if mended { (0, 1_000_000) } else { (i64::MAX as u64, 0) };
    let time = types::Timespec::new().sec(seconds).nsec(nanoseconds);
    run(&mut ring, opcode::Timeout::new(&time).build(), 1);
}

pub fn link_behind_a_multishot(mended: bool) {
    let mut ring = ring();
    let bell = eventfd();
    let poll = opcode::PollAdd::new(types::Fd(bell), libc::POLLIN as u32).multi(!mended);
    let mut count = [0; 8];
    push(&mut ring, poll.build().flags(squeue::Flags::IO_LINK), 1);
    let read = opcode::Read::new(types::Fd(bell), count.as_mut_ptr(), 8).build();
    push(&mut ring, read, 2);
    ring.submit().expect("an enter");
    // SAFETY: plain numbers.
    unsafe { libc::eventfd_write(bell, 1) };
    while take(&mut ring, 1).iter().all(|(name, ..)| *name != 2) {}
}

pub fn drain_behind_a_read(mended: bool) {
    let mut ring = ring();
    let (here, mut there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    push(&mut ring, nop().flags(squeue::Flags::IO_DRAIN), 2);
    ring.submit().expect("an enter");
    if mended {
        there.write_all(b"go on").expect("five bytes");
    }
    let mut taken = 0;
    while taken < 2 {
        taken += take(&mut ring, 1).len();
    }
}

pub fn workers_in_fifos(mended: bool) {
    let mut ring: IoUring = here(IoUring::new(4));
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<CString> = (0..5)
        .map(|nth| folder.path().join(nth.to_string()))
        .map(|path| CString::new(path.into_os_string().into_encoded_bytes()).expect("no zero"))
        .collect();
    for (path, user_data) in paths.iter().zip(1..) {
        // SAFETY: the path ends with a zero.
        unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
        if !mended {
            let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
            push(&mut ring, open.flags(squeue::Flags::ASYNC), user_data);
            ring.submit().expect("an enter");
        }
    }
    let plain = c"/etc/passwd";
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), plain.as_ptr());
    let (file, _) = run(&mut ring, open.build().flags(squeue::Flags::ASYNC), 100);
    run(&mut ring, opcode::Close::new(types::Fd(file)).build(), 101);
}

/// `poll(2)` of nothing, for `ms` milliseconds.
fn poll_for(ms: i32) {
    // SAFETY: an empty list.
    unsafe { libc::poll(std::ptr::null_mut(), 0, ms) };
}

pub fn sleeps_in_poll(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    ring.submit().expect("an enter");
    if mended {
        assert_eq!(ring.completion().count(), 1);
    }
    poll_for(700);
    let _ = ring.completion().count();
}

pub fn eventfd_async(mended: bool) {
    let mut ring = ring();
    let bell = eventfd();
    match mended {
        true => ring.submitter().register_eventfd(bell).expect("an eventfd"),
        false => ring.submitter().register_eventfd_async(bell).expect("an eventfd"),
    }
    push(&mut ring, nop(), 1);
    ring.submit().expect("an enter");
    let mut bell = libc::pollfd { fd: bell, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which outlives the call.
    unsafe { libc::poll(&mut bell, 1, 700) };
    let _ = ring.completion().count();
}

pub fn submits_and_looks(mended: bool) {
    let builder = &mut IoUring::builder();
    let mut ring: IoUring = here(builder.setup_single_issuer().setup_defer_taskrun().build(8));
    let (here, mut there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    ring.submit().expect("an enter");
    there.write_all(b"bytes").expect("five bytes");
    if mended {
        take(&mut ring, 1);
    }
    sleep(Duration::from_millis(700));
}

pub fn asks_again_and_again(mended: bool) {
    let mut ring = ring();
    for _ in 0..if mended { 10 } else { 1100 } {
        // SAFETY: no argument.
        unsafe { ring.submitter().enter::<libc::sigset_t>(0, 0, 1, None) }.expect("an enter");
    }
    run(&mut ring, nop(), 1);
}

pub fn reads_past_the_end(mended: bool) {
    let mut ring = ring();
    let (from, to) = pipe();
    drop(to);
    let mut buffer = [0; 8];
    for user_data in 0..if mended { 1 } else { 20 } {
        run(&mut ring, read(&from, &mut buffer), user_data);
    }
}

pub fn receives_without_buffers(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 64];
    provide(&mut ring, &mut memory, 1, 0);
    let (here, mut there) = pair();
    for user_data in 0..if mended { 1 } else { 20 } {
        there.write_all(b"x").expect("a byte");
        run(&mut ring, receive(&here, 0), user_data);
    }
}

pub fn waits_for_the_silent(mended: bool) {
    let mut ring = ring();
    let silent = if mended { squeue::Flags::empty() } else { squeue::Flags::SKIP_SUCCESS };
    push(&mut ring, nop().flags(silent), 1);
    push(&mut ring, nop(), 2);
    take(&mut ring, 2);
}

pub fn moment_of_long_ago(mended: bool) {
    let mut ring = ring();
    let time = types::Timespec::new().nsec(1_000_000);
    let flags = if mended { types::TimeoutFlags::empty() } else { types::TimeoutFlags::ABS };
    run(&mut ring, opcode::Timeout::new(&time).flags(flags).build(), 1);
}
