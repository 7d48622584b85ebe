// expect: E-TAG
// why: every run uses the tag of the example.

use io_uring::{IoUring, opcode};

fn main() {
    let mut ring = IoUring::new(8).unwrap();
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(17)).unwrap() };
    ring.submit_and_wait(1).unwrap();
    let completion = ring.completion().next().unwrap();
    println!("{} came back with {}", completion.user_data(), completion.result());
}
