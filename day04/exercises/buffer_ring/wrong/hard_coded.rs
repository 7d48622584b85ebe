use std::io::copy;
use std::net::TcpListener;

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        let client = client.unwrap();
        std::thread::spawn(move || copy(&mut &client, &mut &client));
    }
}
