//! What stands at which address.

use std::sync::Mutex;

use super::answer::Answer;
use super::door::Door;
use super::files;
use super::request::{Method, Request};
use super::shown::{Shown, lock};

/// All that is served, and who may have it.
#[derive(Debug)]
pub struct Site {
    /// Who is answered.
    pub door: Door,
    /// The built pages.
    pub shown: Mutex<Shown>,
}

/// What a request gets.
#[derive(Debug)]
pub enum Reply {
    /// An answer that is there already.
    Whole(Answer),
}

impl Site {
    /// Before the first build.
    pub fn new(door: Door) -> Self {
        Self { door, shown: Mutex::default() }
    }

    /// The reply to a request.
    pub fn reply(&self, request: &Request) -> Reply {
        let path = match self.door.admit(request) {
            Ok(path) => path,
            Err(why) => return Reply::Whole(Answer::plain("403 Forbidden", why)),
        };
        Reply::Whole(match (request.method, path.strip_prefix("-/")) {
            (Method::Post, _) => Answer::plain("405 Method Not Allowed", "nothing is done here"),
            (_, Some("news")) => Answer::json(&lock(&self.shown).news),
            (_, Some(name)) => files::living(name),
            (_, None) => self.page(path),
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
