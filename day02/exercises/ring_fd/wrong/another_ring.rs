use io_uring::{IoUring, opcode};
use std::thread;

fn main() {
    let args: Vec<u64> =
        std::env::args().skip(1).map(|it| it.parse().unwrap()).collect();
    let (count, first) = (args[0], args[1]);
    let mut show = IoUring::new(8).unwrap();
    let (mut submitter, _, _) = show.split();
    submitter.register_ring_fd().unwrap();
    // SAFETY: no argument.
    unsafe { submitter.enter::<libc::sigset_t>(0, 0, 0, None) }.unwrap();
    let mut ring: IoUring = IoUring::builder()
        .setup_sqpoll(20_000)
        .setup_r_disabled()
        .build(64)
        .unwrap();
    for tag in first..first + count {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry).unwrap() };
        if tag == first {
            // Begins with something to do, so that the thread does not fall asleep at once.
            ring.submitter().register_enable_rings().unwrap();
        }
        while ring.completion().next().is_none() {
            thread::yield_now();
        }
    }
}
