//! Maps addresses to answers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::answer::Answer;
use super::door::Door;
use super::exercises::Exercises;
use super::files;
use super::request::{Method, Request};
use super::run::Run;
use super::runs::{self, Kind, Machine, Runs};
use super::shown::{Shown, lock};

/// Everything that is served, and who may have it.
#[derive(Debug)]
pub struct Site {
    /// Decides who is answered.
    pub door: Door,
    /// The built pages.
    pub shown: Mutex<Shown>,
    root: PathBuf,
    runs: Arc<Runs>,
    exercises: Arc<Exercises>,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Reply {
    /// A complete answer.
    Whole(Answer),
    /// The events of a run while it goes on.
    Live(Run),
}

impl Site {
    /// The site of this workspace's book, before it is built.
    pub fn new(door: Door, root: PathBuf, xtask: &str) -> Self {
        let exercises = Arc::new(Exercises::new(&root, xtask));
        Self { door, shown: Mutex::default(), root, runs: Arc::default(), exercises }
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
        if let Some(name) = path.strip_prefix("-/exercise/") {
            return Reply::Whole(match name.strip_suffix("/solution") {
                Some(name) => or_refused(self.exercises.solution(name)),
                None => or_refused(self.exercises.verdict(name)),
            });
        }
        Reply::Whole(match path.strip_prefix("-/") {
            Some("news") => Answer::json(&lock(&self.shown).news),
            Some("runs") => Answer::json(&runs::offer(&self.root)),
            Some(name) => files::living(name),
            None => self.page(path),
        })
    }

    /// Does what a page asks for.
    fn act(&self, path: &str) -> Reply {
        let (action, name) = path.rsplit_once('/').unwrap_or_default();
        let run = |kind, machine| match self.runs.begin(&self.root, kind, machine, name) {
            Ok(run) => Reply::Live(run),
            Err(why) => Reply::Whole(refused(&why)),
        };
        Reply::Whole(match action {
            "-/run/transcript" => return run(Kind::Transcript, Machine::This),
            "-/run/figure" => return run(Kind::Figure, Machine::This),
            "-/run/atlas" => return run(Kind::Atlas, Machine::This),
            "-/emulate/transcript" => return run(Kind::Transcript, Machine::Emulated),
            "-/emulate/atlas" => return run(Kind::Atlas, Machine::Emulated),
            "-/check" => or_refused(self.exercises.check(name, Machine::This)),
            "-/emulate/check" => or_refused(self.exercises.check(name, Machine::Emulated)),
            "-/give-up" => or_refused(self.exercises.give_up(name)),
            "-" if name == "exercises" => Answer::json(&self.exercises.look()),
            "-" if name == "stop" => {
                self.runs.stop();
                Answer::json(&self.runs.current())
            }
            _ => Answer::plain("404 Not Found", "there is no such action"),
        })
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

/// A value, or why it is refused.
fn or_refused(result: Result<impl serde::Serialize, String>) -> Answer {
    result.map_or_else(|why| refused(&why), |value| Answer::json(&value))
}

/// Refused for now, with the reason.
fn refused(why: &str) -> Answer {
    Answer::plain("409 Conflict", why)
}
