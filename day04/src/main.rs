//! Day 04.
fn main() {}
