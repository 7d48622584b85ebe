//! Day 02.
fn main() {}
