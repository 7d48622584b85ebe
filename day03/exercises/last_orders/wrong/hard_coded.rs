use std::io::Read;
use std::net::TcpListener;

use common::signals::StopSignals;
use nix::sys::signal::{SigSet, Signal};

fn main() {
    let _signals = StopSignals::block().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            std::thread::spawn(move || client.read_to_end(&mut Vec::new()));
        }
    });
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    let _ = set.wait();
}
