//! The book's tool: builds it, shows it, and checks every sentence that a program can check.
//!
//! `cargo xtask book` starts it. It is mdBook with a preprocessor: what the chapters show is cut
//! from compiled code, taken from runs, or played from recordings, and a directive that cannot be
//! resolved is an error.

mod answer;
mod brief;
mod build;
mod catalogue;
mod check;
mod cli;
mod compare;
mod config;
mod exercises;
mod expand;
mod figure;
mod hearing;
mod listing;
mod markup;
mod options;
mod pages;
mod preprocessor;
mod problem;
mod ring;
mod say;
mod scan;
#[cfg(test)]
mod scratch;
mod serve;
mod session;
mod trace;
mod transcript;

fn main() -> std::process::ExitCode {
    cli::main()
}
