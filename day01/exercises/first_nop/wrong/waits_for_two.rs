// expect: E-HANG-WAIT
// why: it waits for two completions of one entry.

use io_uring::{IoUring, opcode};

fn main() {
    let tag: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut ring = IoUring::new(8).unwrap();
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(tag)).unwrap() };
    ring.submit_and_wait(2).unwrap();
    let completion = ring.completion().next().unwrap();
    println!("{} came back with {}", completion.user_data(), completion.result());
}
