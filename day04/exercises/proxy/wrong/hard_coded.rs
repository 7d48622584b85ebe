use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};

fn main() {
    let backend = std::env::args().nth(1).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    for client in listener.incoming() {
        let client = client.unwrap();
        let Ok(server) = TcpStream::connect(&backend) else { continue };
        let (from, to) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = copy(&mut &from, &mut &to);
            let _ = to.shutdown(Shutdown::Write);
        });
        std::thread::spawn(move || {
            let _ = copy(&mut &server, &mut &client);
            let _ = client.shutdown(Shutdown::Write);
        });
    }
}
