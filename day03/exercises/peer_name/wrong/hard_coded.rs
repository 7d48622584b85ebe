use std::io::Write;
use std::net::TcpListener;

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    while let Ok((mut client, address)) = listener.accept() {
        let _ = writeln!(client, "you are {address}");
    }
}
