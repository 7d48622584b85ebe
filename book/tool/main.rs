//! The book's tool: builds the book, shows it, and checks everything in it that a program can
//! check.
//!
//! `cargo xtask book` starts it. It is mdBook with a preprocessor: what the chapters show is cut
//! from compiled code, taken from runs, or played from recordings, and a directive that cannot be
//! resolved is an error.
//!
//! - [`preprocessor`] is what mdBook calls; [`scan`] finds the [`directives`] of a chapter;
//! - [`transcript`]: commands and their output, run and compared;
//! - [`atlas`]: the entries of the atlas, and what they did in recorded runs;
//! - [`build`] makes the pages, [`serve`] shows them, [`check`] checks them and their sources.

mod atlas;
mod build;
mod check;
mod cli;
mod config;
mod directives;
mod exercises;
mod markup;
mod mdbook_warnings;
mod notes;
mod options;
mod output;
mod pages;
mod passage;
mod paths;
mod pdf;
mod pictures;
mod preprocessor;
mod problem;
mod recording;
mod scan;
mod search;
mod serve;
mod transcript;

fn main() -> std::process::ExitCode {
    cli::main()
}
