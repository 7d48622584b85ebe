// expect: E-OUTPUT
// why: everything goes through the ring, and nothing is printed.

use io_uring::{IoUring, opcode};

fn main() {
    let tag: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut ring = IoUring::new(8).unwrap();
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(tag)).unwrap() };
    ring.submit_and_wait(1).unwrap();
    ring.completion().next().unwrap();
}
