//! Prints its arguments, and sets up no ring.

fn main() {
    let texts: Vec<String> = std::env::args().skip(1).collect();
    println!("{}\n{}", texts[0], texts[1]);
}
