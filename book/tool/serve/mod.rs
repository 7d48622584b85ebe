//! `serve`: shows the book on this machine, and builds it again when a file changes.
//!
//! The pages on the disk stay unchanged: the script that makes a page live is added when the page
//! is sent. This file builds the book when [`sources`] change; the rest answers the browser, from
//! the outside in:
//!
//! - [`connections`] keeps slow and greedy clients harmless, [`request`] reads a request;
//! - [`door`] decides who gets an answer, [`site`] maps addresses to answers;
//! - [`files`] are the book's, [`shown`] is their state, [`answer`] sends a reply;
//! - [`runs`] is what a page may run, [`mod@run`] one run of it, which [`traced`] shows the tracer;
//! - [`exercises`] checks the reader's own programs.

mod answer;
mod connections;
mod door;
mod exercises;
mod files;
mod request;
mod run;
mod runs;
mod shown;
mod site;
mod sources;
#[cfg(test)]
mod tests;
mod traced;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc;

use self::door::Door;
use self::shown::lock;
use self::site::Site;
use crate::build::{self, Place};
use crate::output;
use crate::problem::Problem;

/// Serves the book on `127.0.0.1` until it is stopped. Returns only on a failure. `xtask` is the
/// command that checks the exercises: `cargo xtask`.
pub fn serve(place: &Place, port: u16, xtask: &str, ready: impl FnOnce(&str)) -> Problem {
    let listener = match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => listener,
        Err(wrong) => {
            return Problem::of(
                format!("127.0.0.1:{port}"),
                format!("cannot be listened on: {wrong}"),
                "cargo xtask book serve --port 0, for a port that is free",
            );
        }
    };
    let door = match Door::new() {
        Ok(door) => door,
        Err(wrong) => {
            return Problem::of(
                "/dev/urandom",
                format!("cannot be read, and the book's address needs random bits: {wrong}"),
                "cargo xtask book build, which needs none",
            );
        }
    };
    let path = door.path();
    let address = listener.local_addr().map_or(String::new(), |it| format!("http://{it}{path}"));
    let site = Arc::new(Site::new(door, place.root.clone(), xtask));
    lock(&site.shown).news.version = first_version();
    let answering = Arc::clone(&site);
    let started =
        std::thread::Builder::new().spawn(move || connections::serve(&listener, &answering));
    if let Err(wrong) = started {
        return Problem::of(
            "book",
            format!("cannot be served: no thread can be started: {wrong}"),
            "ulimit -u: the limit on processes, or that of the container",
        );
    }
    let (told, changes) = mpsc::channel();
    let watcher = match sources::watch(&place.root, told) {
        Ok(watcher) => watcher,
        Err(wrong) => {
            return Problem::of(
                "book",
                format!("cannot be watched: {wrong}"),
                "cargo xtask book build, after each change",
            );
        }
    };
    rebuild(place, &site);
    ready(&address);
    while sources::changed(&changes) {
        rebuild(place, &site);
    }
    drop(watcher);
    Problem::of("book", "is no longer watched", "start `cargo xtask book serve` again")
}

/// A version that no earlier server has sent: a page may outlive its server.
fn first_version() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_secs() * 1000
}

/// Builds the pages, and prints the result. If they cannot be built, the old ones stay.
fn rebuild(place: &Place, site: &Site) {
    // Hold the lock until all is built: mdBook removes the old pages first.
    let mut shown = lock(&site.shown);
    match build::build(place) {
        Ok(folder) => {
            shown.folder = folder;
            shown.news.problems.clear();
            output::line("built");
        }
        Err(problems) => {
            shown.news.problems = problems.iter().map(Problem::to_string).collect();
            for problem in &problems {
                output::aside(&problem.to_string());
            }
        }
    }
    shown.news.version += 1;
}
