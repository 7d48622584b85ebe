use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        let mut client = client.unwrap();
        std::thread::spawn(move || {
            let _ = client.write_all(b"come in\n");
            let _ = client.read_to_end(&mut Vec::new());
        });
    }
}
