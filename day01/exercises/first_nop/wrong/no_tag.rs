// expect: E-TAG
// why: the entry carries no tag; the program prints its argument.

use io_uring::{IoUring, opcode};

fn main() {
    let tag = std::env::args().nth(1).unwrap();
    let mut ring = IoUring::new(8).unwrap();
    unsafe { ring.submission().push(&opcode::Nop::new().build()).unwrap() };
    ring.submit_and_wait(1).unwrap();
    let completion = ring.completion().next().unwrap();
    println!("{tag} came back with {}", completion.result());
}
