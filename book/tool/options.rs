//! The command line. `cargo xtask` compiles this file too, so it answers `--help` and wrong options
//! before mdBook is built.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The book: every listing compiled, every transcript run, every figure recorded
#[derive(Parser)]
#[command(name = "cargo xtask book", bin_name = "cargo xtask book")]
pub struct Cli {
    /// What to do; missing when mdBook starts this as its preprocessor.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// Options of all tasks.
    #[command(flatten)]
    pub options: Options,
}

/// Options of all tasks.
#[derive(Args)]
pub struct Options {
    /// Where the built pages go (default: target/book, or target/book-checked for a check)
    #[arg(long, global = true, value_name = "DIR")]
    pub dest: Option<PathBuf>,
    /// The workspace (default: the one that this was built in)
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}

/// What to do.
#[derive(Subcommand)]
pub enum Task {
    /// Build the pages
    Build {
        /// Show the book in a browser
        #[arg(long)]
        open: bool,
    },
    /// Show the book on this machine, and build it again when a file changes
    ///
    /// Only a browser on this machine that has the printed address gets an answer: the address
    /// contains a word that is new at each start. No other page and no other user can read the
    /// book, or start a run.
    ///
    /// A page runs its transcripts and figures on this machine, one at a time, and plays the rings.
    /// A page of exercises checks each save of your program in workbook/, as `cargo xtask learn`
    /// does; both may run at the same time.
    Serve {
        /// The port on 127.0.0.1; 0 for any free port
        #[arg(long, default_value_t = 3000)]
        port: u16,
        /// Show the book in a browser
        #[arg(long)]
        open: bool,
        /// The command in place of `cargo xtask` that checks the exercises
        #[arg(long, value_name = "COMMAND", default_value = "cargo xtask", hide = true)]
        xtask: String,
    },
    /// Build the pages, and check them, the transcripts and the recordings
    Check {
        /// Leave out what needs a run: transcripts and recordings
        #[arg(long)]
        pages: bool,
        /// Show the book in a browser
        #[arg(long)]
        open: bool,
    },
    /// Run transcripts and write their output into their files
    Record {
        /// Files in book/transcripts, without .txt
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Write the book into one PDF file: this needs chromium and poppler-utils
    Pdf {
        /// The file (default: target/book.pdf)
        file: Option<PathBuf>,
    },
    /// Draw README's pictures again: this needs chromium and tmux
    Pictures,
    /// Answer mdBook, which asks whether this preprocessor supports a renderer
    #[command(hide = true)]
    Supports {
        /// Any renderer: directives become Markdown and HTML.
        renderer: String,
    },
}
