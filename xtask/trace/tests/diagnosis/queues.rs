//! Faults with the two queues, and with what stays armed.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::{
    at_once, cancel, eventfd, fd, here, nop, not_here, pair, provide, push, read, ring, run,
    run_first, take,
};

pub fn pushes_after_submit(mended: bool) {
    let mut ring = ring();
    run(&mut ring, nop(), 1);
    push(&mut ring, nop(), 2);
    if mended {
        take(&mut ring, 1);
    }
}

pub fn spins_over_what_it_pushed(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    if mended {
        ring.submit().expect("an enter");
    }
    while ring.completion().next().is_none() {}
}

pub fn bad_entry_in_a_batch(mended: bool) {
    let mut ring = ring();
    // The second is no operation at all: it is refused while it is prepared.
    let bad = opcode::Fsync::new(types::Fd(1)).flags(types::FsyncFlags::from_bits_retain(1 << 12));
    let second = if mended { nop() } else { bad.build() };
    for (entry, user_data) in [(nop(), 1), (second, 2), (nop(), 3)] {
        push(&mut ring, entry, user_data);
    }
    ring.submit().expect("an enter");
    for _ in 0..3 {
        while ring.completion().next().is_none() {
            // SAFETY: no argument. It submits nothing, for that was done.
            unsafe { ring.submitter().enter::<libc::sigset_t>(0, 1, 1, None) }.expect("an enter");
        }
    }
}

pub fn disabled_ring(mended: bool) {
    let mut ring: IoUring = here(IoUring::builder().setup_r_disabled().build(8));
    push(&mut ring, nop(), 1);
    if mended {
        ring.submitter().register_enable_rings().expect("an enabled ring");
    }
    let first = ring.submit();
    assert_eq!(first.is_ok(), mended);
    if !mended {
        ring.submitter().register_enable_rings().expect("an enabled ring");
    }
    push(&mut ring, nop(), 2);
    while take(&mut ring, 1).iter().all(|(user_data, ..)| *user_data != 2) {}
}

pub fn chain_in_two_submits(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop().flags(squeue::Flags::IO_LINK), 1);
    if !mended {
        take(&mut ring, 1);
    }
    push(&mut ring, nop(), 2);
    take(&mut ring, if mended { 2 } else { 1 });
}

pub fn takes_one_of_two(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    push(&mut ring, nop(), 2);
    ring.submit_and_wait(2).expect("an enter");
    assert!(ring.completion().next().is_some());
    if mended {
        assert!(ring.completion().next().is_some());
    }
}

pub fn never_seen(mended: bool) {
    let mut ring = ring();
    for user_data in 1..=3 {
        push(&mut ring, nop(), user_data);
        ring.submit_and_wait(1).expect("an enter");
        if mended {
            assert_eq!(ring.completion().count(), 1);
        }
    }
}

/// The head of a ring's completion queue, written past the crate.
pub fn seen_twice(mended: bool) {
    let params = &mut [0_u32; 30];
    // SAFETY: the kernel fills the structure, and the mapping is of the ring that it made.
    let head = unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr());
        assert!(ring >= 0);
        let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let map = libc::mmap(std::ptr::null_mut(), 4096, access, shared, ring as i32, 0);
        // `cq_off.head`: the 20th word.
        let head = map.byte_add(params[20] as usize).cast::<u32>();
        head.write_volatile(if mended { 0 } else { 2 });
        libc::syscall(libc::SYS_io_uring_enter, ring, 0, 0, 0, 0, 0);
        head
    };
    assert!(!head.is_null());
}

pub fn too_many_completions(mended: bool) {
    let mut ring: IoUring = here(IoUring::builder().setup_cqsize(8).build(8));
    for round in 0..2 {
        for user_data in 0..8 {
            push(&mut ring, nop(), user_data);
        }
        if mended {
            assert_eq!(take(&mut ring, 8).len(), 8, "round {round}");
        } else {
            ring.submit().expect("an enter");
        }
    }
    let mut left = if mended { 0 } else { 16 };
    while left > 0 {
        left -= take(&mut ring, 1).len();
    }
}

/// A poll of an eventfd that completes when the queue overflows.
/// More completions than the queue holds. The rest comes only with an enter.
pub fn looks_without_asking(mended: bool) {
    let mut ring = ring();
    for _ in 0..3 {
        for _ in 0..8 {
            push(&mut ring, nop(), 1);
        }
        ring.submit().expect("an enter");
    }
    let mut left = 24;
    loop {
        left -= ring.completion().count();
        match left {
            0 => return,
            _ if mended => _ = ring.submit_and_wait(1).expect("an enter"),
            _ => sleep(Duration::from_millis(10)),
        }
    }
}

pub fn poll_that_ended(mended: bool) {
    let mut ring: IoUring = here(IoUring::builder().setup_cqsize(4).build(4));
    let bell = eventfd();
    let ring_it = || {
        // SAFETY: plain numbers.
        unsafe { libc::eventfd_write(bell, 1) }
    };
    let poll = || opcode::PollAdd::new(types::Fd(bell), libc::POLLIN as u32).multi(true).build();
    push(&mut ring, poll(), 9);
    ring.submit().expect("an enter");
    if !mended {
        for user_data in 0..4 {
            push(&mut ring, nop(), user_data);
        }
        ring.submit().expect("an enter");
    }
    ring_it();
    let mut more = true;
    while !ring.completion().is_empty() || more && ring_flags(&mut ring) != 0 {
        more &= take(&mut ring, 1).iter().all(|(name, _, flags)| *name != 9 || flags & 2 != 0);
    }
    if mended {
        run(&mut ring, cancel(9), 1);
        return;
    }
    ring_it();
    take(&mut ring, 1);
}

/// Whether a completion of the poll is still to come.
fn ring_flags(ring: &mut IoUring) -> u32 {
    u32::from(ring.submission().cq_overflow())
}

pub fn cancels_its_own_name(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    ring.submit().expect("an enter");
    let (result, _) = run_first(&mut ring, cancel(if mended { 1 } else { 77 }), 77);
    assert_eq!(result == -libc::ENOENT, !mended);
}

pub fn cancels_what_has_not_started(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer).flags(squeue::Flags::IO_LINK), 1);
    push(&mut ring, nop(), 2);
    ring.submit().expect("an enter");
    run_first(&mut ring, cancel(if mended { 1 } else { 2 }), 3);
}

pub fn one_name_in_one_enter(mended: bool) {
    let files = pair();
    let [first, second] = &mut [[0; 8]; 2];
    let receive = |file: &UnixStream, buffer: &mut [u8]| {
        opcode::Recv::new(fd(file), buffer.as_mut_ptr(), 8).build()
    };
    let name = if mended { 2 } else { 1 };
    at_once(&files, [(receive(&files.0, first), 1), (receive(&files.1, second), name)], 2);
}

pub fn cancels_a_slot_by_number(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    ring.submitter().register_files(&[here.as_raw_fd()]).expect("a table");
    let mut buffer = [0; 8];
    push(&mut ring, opcode::Recv::new(types::Fixed(0), buffer.as_mut_ptr(), 8).build(), 1);
    ring.submit().expect("an enter");
    let by_slot = types::CancelBuilder::fd(types::Fixed(0));
    let by_descriptor = types::CancelBuilder::fd(types::Fd(0));
    let builder = if mended { by_slot } else { by_descriptor };
    let (result, _) = run_first(&mut ring, opcode::AsyncCancel2::new(builder).build(), 2);
    if result == -libc::EINVAL {
        not_here("no cancel by descriptor");
    }
    if !mended {
        run_first(&mut ring, cancel(1), 3);
    }
}

pub fn one_name_for_all(mended: bool) {
    let files = pair();
    let [first, second] = &mut [[0; 8]; 2];
    let name = if mended { 2 } else { 1 };
    at_once(&files, [(read(&files.0, first), 1), (read(&files.1, second), name)], 1);
}

/// A ring by hand, whose index array holds what `index` makes of the tail.
pub fn masks_no_index(mended: bool) {
    let params = &mut [0_u32; 30];
    let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: the kernel fills the structure; the mapping is of the ring that it made, and holds
    // both queues.
    unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, 2, params.as_mut_ptr());
        assert!(ring >= 0);
        let map = libc::mmap(std::ptr::null_mut(), 4096, access, shared, ring as i32, 0);
        // `sq_off` begins with the tenth word: head, tail, mask, entries, flags, dropped, array;
        // `cq_off` with the twentieth.
        let word = |offset: u32| map.byte_add(offset as usize).cast::<u32>();
        let (tail, array) = (word(params[11]), word(params[16]));
        for at in 0..4 {
            array.add(at as usize & 1).write_volatile(if mended { at & 1 } else { at });
            tail.write_volatile(at + 1);
            libc::syscall(libc::SYS_io_uring_enter, ring, 1, 0, 0, 0, 0);
            let (head, tail) = (word(params[20]), word(params[21]));
            head.write_volatile(tail.read_volatile());
        }
    }
}

pub fn multishot_without_buffers_left(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 64];
    provide(&mut ring, &mut memory, 1, 0);
    let (here, mut there) = pair();
    let multi = || opcode::RecvMulti::new(fd(&here), 0).build();
    push(&mut ring, multi(), 1);
    for _ in 0..3 {
        there.write_all(b"message").expect("seven bytes");
        let all = take(&mut ring, 1);
        if let Some(&(_, result, flags)) = all.iter().find(|(name, ..)| *name == 1) {
            if result == -libc::EINVAL {
                not_here("no multishot receives");
            }
            if mended {
                if cqueue::buffer_select(flags).is_some() {
                    provide(&mut ring, &mut memory, 1, 0);
                }
                if !cqueue::more(flags) {
                    push(&mut ring, multi(), 1);
                }
            }
        }
    }
    run_first(&mut ring, cancel(1), 2);
}
