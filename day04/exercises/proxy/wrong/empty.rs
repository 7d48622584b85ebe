// expect: E-NO-RING
// why: nothing is there.
fn main() {}
