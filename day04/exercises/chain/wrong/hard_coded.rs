use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        let mut client = client.unwrap();
        let mut request = [0; 16];
        if client.read_exact(&mut request).is_ok() {
            let _ = client.write_all(&request);
        }
    }
}
