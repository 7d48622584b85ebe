// expect: E-NO-RING
// why: The line is right, but no ring has anything to do with it.

fn main() {
    println!("{}", std::env::args().nth(2).unwrap_or_default());
}
