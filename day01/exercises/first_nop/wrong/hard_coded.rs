// expect: E-NO-RING
// why: it prints what a ring would give, without one.

fn main() {
    let tag = std::env::args().nth(1).unwrap();
    println!("{tag} came back with 0");
}
