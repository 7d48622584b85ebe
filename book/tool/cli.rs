//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use mdbook_preprocessor::Preprocessor as _;

use crate::build::{self, Place};
use crate::check::{self, Depth};
use crate::preprocessor::Days;
use crate::problem::Problem;
use crate::say;
use crate::serve;

/// The book: every listing compiled, every transcript run, every figure recorded
#[derive(Parser)]
#[command(name = "cargo xtask book", bin_name = "cargo xtask book")]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    options: Options,
}

/// What holds for all tasks.
#[derive(Args)]
struct Options {
    /// Where the built pages go (default: target/book; of a check, target/book-checked)
    #[arg(long, global = true, value_name = "DIR")]
    dest: Option<PathBuf>,
    /// The workspace (default: the one this was built in)
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Task {
    /// Build the pages
    Build {
        /// Show the book in a browser
        #[arg(long)]
        open: bool,
    },
    /// Show the book on this machine, and show it anew whenever a file changes
    Serve {
        /// The port on 127.0.0.1; 0 for any that is free
        #[arg(long, default_value_t = 3000)]
        port: u16,
        /// Show the book in a browser
        #[arg(long)]
        open: bool,
    },
    /// Build the pages, and check them, the transcripts and the recordings
    Check {
        /// Leave out what has to be run: transcripts and recordings
        #[arg(long)]
        pages: bool,
        /// Show the book in a browser
        #[arg(long)]
        open: bool,
    },
    /// Run transcripts and write down what they print
    Record {
        /// Files in book/transcripts, without .txt
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Answer mdBook, which asks whether the pages of a renderer are wanted
    #[command(hide = true)]
    Supports {
        /// Any: what the directives become is Markdown and HTML.
        renderer: String,
    },
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let place = match place(&cli.options) {
        Ok(place) => place,
        Err(problem) => return told(&[problem]),
    };
    match cli.task {
        Some(Task::Build { open }) => build_task(&place, open),
        Some(Task::Serve { port, open }) => serve_task(&place, port, open),
        Some(Task::Check { pages, open }) => check_task(&place, pages, open),
        Some(Task::Record { names }) => record_task(&place, &names),
        Some(Task::Supports { .. }) => ExitCode::SUCCESS,
        None => preprocess(),
    }
}

/// The workspace that is meant.
fn place(options: &Options) -> Result<Place, Problem> {
    let root = options
        .root
        .clone()
        .or_else(|| {
            std::env::var_os("CARGO_MANIFEST_DIR").map(|book| PathBuf::from(book).join(".."))
        })
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."));
    let root = root.canonicalize().map_err(|wrong| {
        Problem::of(
            root.display().to_string(),
            format!("the workspace is not there: {wrong}"),
            "cargo xtask book build, in the workspace",
        )
    })?;
    let dest = options.dest.as_ref().map(std::path::absolute).transpose().map_err(|wrong| {
        Problem::of("--dest", format!("{wrong}"), "name a folder for the pages")
    })?;
    Ok(Place { root, dest })
}

/// `build`.
fn build_task(place: &Place, open: bool) -> ExitCode {
    match build::build(place) {
        Ok(folder) => {
            let page = folder.join("index.html");
            say::line(&format!("built {}", page.display()));
            if open {
                show(&page.display().to_string());
            }
            ExitCode::SUCCESS
        }
        Err(problems) => told(&problems),
    }
}

/// `serve`.
fn serve_task(place: &Place, port: u16, open: bool) -> ExitCode {
    let problem = serve::serve(place, port, |address| {
        say::line(&format!("the book is at {address} until Ctrl-C"));
        if open {
            show(address);
        }
    });
    told(&[problem])
}

/// `check`.
fn check_task(place: &Place, pages: bool, open: bool) -> ExitCode {
    let depth = if pages { Depth::Pages } else { Depth::Everything };
    let problems = check::check(place, depth);
    if !problems.is_empty() {
        return told(&problems);
    }
    if open { build_task(place, true) } else { ExitCode::SUCCESS }
}

/// `record`.
fn record_task(place: &Place, names: &[String]) -> ExitCode {
    let problems = check::record(&place.root, names);
    if problems.is_empty() { ExitCode::SUCCESS } else { told(&problems) }
}

/// Prints what is wrong.
fn told(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        say::aside(&problem.to_string());
    }
    let things = if problems.len() == 1 { "thing is" } else { "things are" };
    say::aside(&format!("\n{} {things} wrong with the book", problems.len()));
    ExitCode::FAILURE
}

/// Opens a page in the reader's browser, if there is one.
fn show(page: &str) {
    let started = std::process::Command::new("xdg-open")
        .arg(page)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    if started.is_err() {
        say::aside(&format!("there is no xdg-open here: open {page} in a browser yourself"));
    }
}

/// What mdBook starts: the book comes as JSON on the standard input.
fn preprocess() -> ExitCode {
    use std::io::IsTerminal as _;
    if std::io::stdin().is_terminal() {
        say::aside("what about the book? cargo xtask book --help");
        return ExitCode::from(2);
    }
    let days = Days::default();
    let result = mdbook_preprocessor::parse_input(std::io::stdin().lock())
        .and_then(|(context, book)| days.run(&context, book));
    let problems = days.problems.take();
    match result {
        Ok(book) => match serde_json::to_writer(std::io::stdout().lock(), &book) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(wrong) if problems.is_empty() => told(&[Problem::of(
            "standard input",
            format!("{wrong:#}"),
            "this is for mdBook: cargo xtask book build",
        )]),
        Err(_) => told(&problems),
    }
}
