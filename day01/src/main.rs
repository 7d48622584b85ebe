//! Day 01.
fn main() {}
