// expect: E-HANG-PUSHED
// why: it asks the completion queue again and again, and never submits.

use io_uring::{IoUring, opcode};

fn main() {
    let tag: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut ring = IoUring::new(8).unwrap();
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(tag)).unwrap() };
    loop {
        if let Some(completion) = ring.completion().next() {
            println!("{} came back with {}", completion.user_data(), completion.result());
            return;
        }
    }
}
