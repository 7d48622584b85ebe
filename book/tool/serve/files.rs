//! The files of the built book, and those of the living page: nothing else.

use std::path::{Path, PathBuf};

use super::answer::Answer;
use super::door::Door;

/// The files that are added to a page on its way to the browser, by their names. The built book has
/// none of them.
const LIVING: [(&str, &str); 8] = [
    ("main.js", include_str!("page/main.js")),
    ("news.js", include_str!("page/news.js")),
    ("server.js", include_str!("page/server.js")),
    ("elements.js", include_str!("page/elements.js")),
    ("runs.js", include_str!("page/runs.js")),
    ("rings.js", include_str!("page/rings.js")),
    ("exercises.js", include_str!("page/exercises.js")),
    ("living.css", include_str!("page/living.css")),
];

/// A file of the living page.
pub fn living(name: &str) -> Answer {
    match LIVING.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Answer::new("200 OK", kind(Path::new(name)), *text),
        None => Answer::plain("404 Not Found", "there is no such file"),
    }
}

/// A file of the built book, by the address below the door.
pub fn of_book(folder: &Path, path: &str, door: &Door) -> Answer {
    let found = file(folder, path).and_then(|file| Some((std::fs::read(&file).ok()?, file)));
    match found {
        Some((bytes, file)) => match kind(&file) {
            "text/html; charset=utf-8" => page("200 OK", bytes, door),
            kind => Answer::new("200 OK", kind, bytes),
        },
        None => {
            let page = std::fs::read_to_string(folder.join("404.html")).unwrap_or_default();
            // It is shown at any depth, so its links need a base.
            let base = format!("<base href=\"{}\">", door.path());
            self::page("404 Not Found", page.replace("<base href=\"/\">", &base), door)
        }
    }
}

/// A page with the live script.
pub fn page(status: &'static str, body: impl Into<Vec<u8>>, door: &Door) -> Answer {
    let mut body = body.into();
    let script = format!("<script type=\"module\" src=\"{}-/main.js\"></script>\n", door.path());
    body.extend_from_slice(script.as_bytes());
    Answer::new(status, "text/html; charset=utf-8", body)
}

/// The file of an address; `None` outside the folder, even through a link.
fn file(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = crate::markup::decoded(path.as_bytes()).ok()?;
    let mut file = folder.to_owned();
    // Nothing may follow a file's name, not even `/`: the page's links would lead elsewhere.
    let path = if path.is_empty() { "index.html" } else { &path };
    for part in path.split('/') {
        if part.is_empty() || part.starts_with('.') || part.contains(['\\', '\0']) {
            return None;
        }
        file.push(part);
    }
    let file = file.canonicalize().ok()?;
    (file.starts_with(folder.canonicalize().ok()?) && file.is_file()).then_some(file)
}

/// The content type, by a file's name.
fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|it| it.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
