//! What happens beside the ring.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, opcode, types};

use super::{cancel, close, fd, here, nop, pair, passwd, push, read, ring, run, run_first, take};

pub fn thread_that_ends(mended: bool) {
    let ring = Mutex::new(ring());
    let (here, there) = pair();
    let mut buffer = [0; 8];
    let memory = &mut buffer[..];
    let submit = |memory: &mut [u8]| {
        let mut ring = ring.lock().expect("the ring");
        push(&mut ring, read(&here, memory), 1);
        ring.submit().expect("an enter");
    };
    if mended {
        submit(memory);
    } else {
        std::thread::scope(|scope| _ = scope.spawn(|| submit(memory)));
        // A scope ends before its threads have exited.
        sleep(Duration::from_millis(100));
    }
    (&there).write_all(b"bytes").expect("five bytes");
    take(&mut ring.lock().expect("the ring"), 1);
}

/// A signal comes while it waits for a read that was submitted by the same call.
pub fn interrupted(mended: bool) {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: a handler that does nothing, for a signal to this very thread.
    let me = unsafe {
        libc::signal(libc::SIGUSR1, nothing as extern "C" fn(i32) as usize);
        libc::pthread_self()
    };
    let mut ring = ring();
    let (here, mut there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    std::thread::spawn(move || {
        sleep(Duration::from_millis(200));
        // SAFETY: the thread lives until the write.
        unsafe { libc::pthread_kill(me, libc::SIGUSR1) };
        sleep(Duration::from_millis(200));
        let _ = there.write_all(b"bytes");
    });
    if ring.submit_and_wait(1).is_err() || ring.completion().is_empty() {
        if !mended {
            std::process::exit(1);
        }
        take(&mut ring, 1);
    } else {
        let _ = ring.completion().count();
    }
}

pub fn closes_under_a_read(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let number = here.into_raw_fd();
    let mut buffers = [[0; 8]; 2];
    let [first, second] = &mut buffers;
    push(&mut ring, opcode::Read::new(types::Fd(number), first.as_mut_ptr(), 8).build(), 1);
    ring.submit().expect("an enter");
    if mended {
        run_first(&mut ring, cancel(1), 2);
    }
    close(number);
    let file = passwd();
    assert_eq!(file.as_raw_fd(), number, "the number is given again");
    run_first(&mut ring, opcode::Read::new(fd(&file), second.as_mut_ptr(), 8).build(), 3);
    if !mended {
        run_first(&mut ring, cancel(1), 2);
    }
}

/// The peer waits for the end of the stream.
pub fn closes_a_slot_under_a_receive(mended: bool) {
    let mut ring = ring();
    let (here, mut there) = pair();
    ring.submitter().register_files(&[here.as_raw_fd()]).expect("a table");
    drop(here);
    let mut buffer = [0; 8];
    push(&mut ring, opcode::Recv::new(types::Fixed(0), buffer.as_mut_ptr(), 8).build(), 1);
    ring.submit().expect("an enter");
    if mended {
        run_first(&mut ring, cancel(1), 2);
    }
    run(&mut ring, opcode::Close::new(types::Fixed(0)).build(), 3);
    assert_eq!(there.read(&mut [0]).expect("the end"), 0);
}

pub fn gives_rights_up_late(mended: bool) {
    // SAFETY: plain numbers; the process keeps its user.
    let give_up = || unsafe { libc::setresuid(libc::getuid(), libc::getuid(), libc::getuid()) };
    if mended {
        give_up();
    }
    let mut ring: IoUring = here(IoUring::builder().setup_sqpoll(100).build(8));
    if !mended {
        give_up();
    }
    push(&mut ring, nop(), 1);
    ring.submit_and_wait(1).expect("an enter");
    while ring.completion().next().is_none() {}
}

pub fn too_large(mended: bool) {
    let entries = if mended { 8 } else { 70_000 };
    assert_eq!(IoUring::new(entries).is_ok(), mended);
}

pub fn registers_twice(mended: bool) {
    let mut ring = ring();
    ring.submitter().register_files(&[1, 2]).expect("a table");
    if mended {
        ring.submitter().unregister_files().expect("no table");
    }
    if ring.submitter().register_files(&[2, 1]).is_err() {
        std::process::exit(1);
    }
    run(&mut ring, nop(), 1);
}

pub fn child_in_the_ring(mended: bool) {
    let mut shared = ring();
    run(&mut shared, nop(), 1);
    // SAFETY: the child is one thread, and does nothing but enter a ring and end.
    match unsafe { libc::fork() } {
        0 => {
            if mended {
                run(&mut ring(), nop(), 2);
            } else {
                run(&mut shared, nop(), 2);
            }
            // SAFETY: a number.
            unsafe { libc::_exit(0) }
        }
        // SAFETY: the status is not wanted.
        child => _ = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) },
    }
    run(&mut shared, nop(), 3);
}

/// The CPU ticks of the thread that polls our ring.
fn poller_ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("our threads").flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let poller = stats.filter(|stat| stat.contains("(iou-sqp")).find_map(|stat| {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
    });
    poller.unwrap_or(0)
}

pub fn poller_for_nothing(mended: bool) {
    let idle = if mended { 10 } else { 60_000 };
    let mut ring: IoUring = here(IoUring::builder().setup_sqpoll(idle).build(8));
    push(&mut ring, nop(), 1);
    ring.submit_and_wait(1).expect("an enter");
    while ring.completion().next().is_none() {}
    for _ in 0..if mended { 10 } else { 600 } {
        sleep(Duration::from_millis(100));
        if poller_ticks() >= 50 {
            break;
        }
    }
    sleep(Duration::from_millis(250));
}
