//! Day 03.
fn main() {}
