// expect: E-NO-RING
// why: The tags are printed as they came; no ring carried them.

fn main() {
    for tag in std::env::args().skip(1) {
        println!("{tag}");
    }
}
