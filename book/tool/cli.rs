//! Does what the command line asks for.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use mdbook_preprocessor::Preprocessor as _;

use crate::build::{self, Place};
use crate::check::{self, Depth};
use crate::options::{Cli, Options, Task};
use crate::output;
use crate::pdf;
use crate::pictures;
use crate::preprocessor::Days;
use crate::problem::Problem;
use crate::serve;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let place = match place(&cli.options) {
        Ok(place) => place,
        Err(problem) => return refused(&problem),
    };
    match cli.task {
        Some(Task::Build { open }) => build_task(&place, open),
        Some(Task::Serve { port, open, xtask }) => serve_task(&place, port, &xtask, open),
        Some(Task::Check { pages, open }) => check_task(&place, pages, open),
        Some(Task::Record { names }) => record_task(&place, &names),
        Some(Task::Pdf { file }) => {
            let file = file.unwrap_or_else(|| place.root.join("target/book.pdf"));
            done(pdf::print(&place, &file))
        }
        Some(Task::Pictures) => done(pictures::draw(&place)),
        Some(Task::Supports { .. }) => ExitCode::SUCCESS,
        None => preprocess(),
    }
}

/// The workspace of the options, or this one.
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
            output::line(&format!("built {}", page.display()));
            if open {
                show(&page.display().to_string());
            }
            ExitCode::SUCCESS
        }
        Err(problems) => told(&problems),
    }
}

/// `serve`.
fn serve_task(place: &Place, port: u16, xtask: &str, open: bool) -> ExitCode {
    let problem = serve::serve(place, port, xtask, |address| {
        output::line(&format!("the book is at {address} until Ctrl-C"));
        if open {
            show(&private_link(place, address).unwrap_or_else(|_| address.to_owned()));
        }
    });
    refused(&problem)
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

/// Prints why a task failed; the book itself may be right.
fn refused(problem: &Problem) -> ExitCode {
    output::aside(&problem.to_string());
    ExitCode::FAILURE
}

/// Prints what went wrong, if anything did.
fn done(result: Result<(), Vec<Problem>>) -> ExitCode {
    result.map_or_else(|problems| told(&problems), |()| ExitCode::SUCCESS)
}

/// Prints what is wrong with the book.
fn told(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        output::aside(&problem.to_string());
    }
    let things = if problems.len() == 1 { "thing is" } else { "things are" };
    output::aside(&format!("\n{} {things} wrong with the book", problems.len()));
    ExitCode::FAILURE
}

/// A page that redirects to an address, and that only the reader can read. Other users of this
/// machine see the arguments of a program such as the browser.
fn private_link(place: &Place, address: &str) -> std::io::Result<String> {
    use std::io::Write as _;
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let path = place.root.join("target/book-address.html");
    let mut file =
        std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    write!(file, "<!DOCTYPE html><meta http-equiv=\"refresh\" content=\"0; url={address}\">")?;
    Ok(path.display().to_string())
}

/// Opens a page in the reader's browser, if there is one.
fn show(page: &str) {
    // xdg-open needs one of these, and its failure would print nothing helpful.
    let displays = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"];
    if !displays.iter().any(|name| std::env::var_os(name).is_some_and(|it| !it.is_empty())) {
        return output::aside(&format!("no browser was opened, since there is no display: {page}"));
    }
    let started = std::process::Command::new("xdg-open")
        .arg(page)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    if started.is_err() {
        output::aside(&format!("there is no xdg-open here: open {page} in a browser yourself"));
    }
}

/// The preprocessor, started by mdBook: the book comes as JSON on the standard input.
fn preprocess() -> ExitCode {
    use std::io::IsTerminal as _;
    if std::io::stdin().is_terminal() {
        output::aside("no subcommand; try: cargo xtask book --help");
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
