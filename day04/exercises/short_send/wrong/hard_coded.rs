use std::io::{Read, Write};
use std::net::TcpListener;

fn reply(length: u32) -> Vec<u8> {
    let words = (0..length.div_ceil(4))
        .map(|word| word.wrapping_mul(2_654_435_761) ^ length);
    let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    bytes.truncate(length as usize);
    bytes
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        let mut client = client.unwrap();
        std::thread::spawn(move || {
            let mut request = [0; 4];
            client.read_exact(&mut request).unwrap();
            let _ = client.write_all(&reply(u32::from_le_bytes(request)));
        });
    }
}
