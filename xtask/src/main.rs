//! The workspace's tool.
fn main() {}
