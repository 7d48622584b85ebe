use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        let mut client = client.unwrap();
        client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        std::thread::spawn(move || {
            let mut chunk = [0; 256];
            while let Ok(length @ 1..) = client.read(&mut chunk) {
                client.write_all(&chunk[..length]).unwrap();
            }
        });
    }
}
