//! Writes by a plain call, and sets up no ring.

fn main() {
    println!("{}", std::env::args().nth(1).unwrap());
}
