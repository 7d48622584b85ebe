//! What stands at which address.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::answer::Answer;
use super::door::Door;
use super::files;
use super::request::{Method, Request};
use super::runs::{self, Kind, Run, Runs};
use super::shown::{Shown, lock};

/// All that is served, and who may have it.
#[derive(Debug)]
pub struct Site {
    /// Who is answered.
    pub door: Door,
    /// The built pages.
    pub shown: Mutex<Shown>,
    root: PathBuf,
    runs: Arc<Runs>,
}

/// What a request gets.
#[derive(Debug)]
pub enum Reply {
    /// An answer that is there already.
    Whole(Answer),
    /// The words of a run while it goes on.
    Live(Run),
}

impl Site {
    /// Of the book in this workspace, before it is built.
    pub fn new(door: Door, root: PathBuf) -> Self {
        Self { door, shown: Mutex::default(), root, runs: Arc::default() }
    }

    /// The reply to a request.
    pub fn reply(&self, request: &Request) -> Reply {
        let path = match self.door.admit(request) {
            Ok(path) => path,
            Err(why) => return Reply::Whole(Answer::plain("403 Forbidden", why)),
        };
        if request.method == Method::Post {
            return self.act(path);
        }
        Reply::Whole(match path.strip_prefix("-/") {
            Some("news") => Answer::json(&lock(&self.shown).news),
            Some("runs") => Answer::json(&runs::offer(&self.root)),
            Some(name) => files::living(name),
            None => self.page(path),
        })
    }

    /// Does what a page may ask for.
    fn act(&self, path: &str) -> Reply {
        let (kind, name) = match path.strip_prefix("-/").unwrap_or_default().rsplit_once('/') {
            Some(("run/transcript", name)) => (Kind::Transcript, name),
            Some(("run/figure", name)) => (Kind::Figure, name),
            _ if path == "-/stop" => {
                self.runs.stop();
                return Reply::Whole(Answer::json(&self.runs.current()));
            }
            _ => return Reply::Whole(Answer::plain("404 Not Found", "there is no such action")),
        };
        match self.runs.begin(&self.root, kind, name) {
            Ok(run) => Reply::Live(run),
            Err(why) => Reply::Whole(Answer::plain("409 Conflict", &why)),
        }
    }

    /// A file of the book.
    fn page(&self, path: &str) -> Answer {
        let folder = lock(&self.shown).folder.clone();
        if folder.as_os_str().is_empty() {
            let page = "<!DOCTYPE html><title>The book</title><p>The book cannot be built.</p>";
            return files::page("503 Service Unavailable", page, &self.door);
        }
        files::of_book(&folder, path, &self.door)
    }
}
