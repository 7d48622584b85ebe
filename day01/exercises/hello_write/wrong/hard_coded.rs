// expect: E-NO-RING
// why: The line is right, but no ring has anything to do with it.

fn main() {
    let text = std::env::args().nth(1).unwrap_or_default();
    println!("{text}");
}
