// expect: E-NOT-THROUGH-RING
// why: a multishot accept is armed on one listener, and the clients are let in by accept4(2)
// on another.

use std::net::TcpListener;

use common::listener::Listener;
use io_uring::{IoUring, opcode, types};

fn main() {
    let mut ring = IoUring::new(8).unwrap();
    let unused = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let accept = opcode::AcceptMulti::new(types::Fd(unused.fd())).build();
    unsafe { ring.submission().push(&accept).unwrap() };
    ring.submit().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        drop(client);
    }
}
