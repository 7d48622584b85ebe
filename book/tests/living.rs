//! The book as `cargo xtask book serve` shows it, in a headless Chromium.

#[path = "browser/session.rs"]
#[allow(dead_code)]
mod session;

#[path = "living/exercises.rs"]
mod exercises;
#[path = "living/foreign.rs"]
mod foreign;
#[path = "living/runs.rs"]
mod runs;
#[path = "living/serving.rs"]
mod serving;
