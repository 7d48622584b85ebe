// expect: E-TOO-MANY-ENTRIES
// why: a multishot accept, armed anew every turn.

use common::listener::Listener;
use io_uring::{IoUring, opcode, types};

fn main() {
    let mut ring = IoUring::new(8).unwrap();
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    println!("listening on {}", listener.address());
    loop {
        let accept = opcode::AcceptMulti::new(types::Fd(listener.fd())).build();
        unsafe { ring.submission().push(&accept).unwrap() };
        ring.submit_and_wait(1).unwrap();
        for completion in ring.completion() {
            let _ = nix::unistd::close(completion.result());
        }
    }
}
