// expect: E-NOT-REAPED
// why: the completion is posted and stays in the queue; what is printed is the argument.

use io_uring::{IoUring, opcode};

fn main() {
    let tag: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut ring = IoUring::new(8).unwrap();
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(tag)).unwrap() };
    ring.submit_and_wait(1).unwrap();
    println!("{tag} came back with 0");
}
