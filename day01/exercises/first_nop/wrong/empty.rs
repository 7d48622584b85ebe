// expect: E-NO-RING
// why: a program that does nothing sets up no ring.

fn main() {}
