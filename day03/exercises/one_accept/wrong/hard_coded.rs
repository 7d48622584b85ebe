// expect: E-NO-LISTENER
// why: it says that it listens, and does not.

fn main() {
    println!("listening on 127.0.0.1:1");
    loop {
        std::thread::park();
    }
}
