// expect: E-PANIC
// why: it looks for the completion before it submits.

use io_uring::{IoUring, opcode};

fn main() {
    let tag: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut ring = IoUring::new(8).unwrap();
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(tag)).unwrap() };
    let completion = ring.completion().next().expect("a completion");
    ring.submit().unwrap();
    println!("{} came back with {}", completion.user_data(), completion.result());
}
