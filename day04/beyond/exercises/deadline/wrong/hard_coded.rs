//! Prints the argument.

fn main() {
    println!("{}", std::env::args().nth(2).unwrap_or_default());
}
