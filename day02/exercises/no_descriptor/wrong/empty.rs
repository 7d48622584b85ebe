// expect: E-NO-RING
// why: A program that does nothing.

fn main() {}
