// expect: E-TOO-MANY-ENTRIES
// why: the entry is pushed twice.

use io_uring::{IoUring, opcode};

fn main() {
    let tag: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut ring = IoUring::new(8).unwrap();
    let nop = opcode::Nop::new().build().user_data(tag);
    unsafe { ring.submission().push(&nop).unwrap() };
    unsafe { ring.submission().push(&nop).unwrap() };
    ring.submit_and_wait(2).unwrap();
    for completion in ring.completion() {
        println!("{} came back with {}", completion.user_data(), completion.result());
    }
}
