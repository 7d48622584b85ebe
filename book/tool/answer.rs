//! Answers the browser: files of the built book, and news of it. Nothing else, and nothing that
//! changes anything.

use std::io::Cursor;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tiny_http::{Header, Method, Request, Response, Server};

use crate::serve::{Shown, lock};

/// What a page asks for news.
const NEWS: &str = "/-/news";

/// Added to each page: asks for news, loads the page again, shows what is wrong.
const SCRIPT: &str = include_str!("reload.js");

/// Answers until the listener is closed.
pub fn all(listener: TcpListener, shown: &Mutex<Shown>) {
    let Ok(server) = Server::from_listener(listener, None) else { return };
    for request in server.incoming_requests() {
        let answer = answer(&request, shown);
        // A browser that has gone in the meantime wants no answer.
        let _ = request.respond(answer);
    }
}

type Answer = Response<Cursor<Vec<u8>>>;

/// The answer to a request.
fn answer(request: &Request, shown: &Mutex<Shown>) -> Answer {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return text(405, "text/plain", b"this server only shows the book\n".to_vec());
    }
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    let shown = lock(shown);
    if path == NEWS {
        let news = serde_json::to_vec(&shown.news).unwrap_or_default();
        return text(200, "application/json", news);
    }
    if shown.folder.as_os_str().is_empty() {
        let page = "<!DOCTYPE html><title>The book</title><p>The book cannot be built.</p>";
        return page_of(503, page.as_bytes().to_vec());
    }
    let found = file(&shown.folder, path).and_then(|file| Some((std::fs::read(&file).ok()?, file)));
    match found {
        Some((bytes, file)) if kind(&file) == "text/html" => page_of(200, bytes),
        Some((bytes, file)) => text(200, kind(&file), bytes),
        None => page_of(404, std::fs::read(shown.folder.join("404.html")).unwrap_or_default()),
    }
}

/// The file that an address means; none outside the folder.
fn file(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = decoded(path)?;
    let mut file = folder.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('.') || part.contains(['\\', '\0']) {
            return None;
        }
        file.push(part);
    }
    if file.is_dir() {
        file.push("index.html");
    }
    file.is_file().then_some(file)
}

/// An address without its `%20` and the like; none if it is no text.
fn decoded(path: &str) -> Option<String> {
    crate::markup::decoded(path.as_bytes()).ok()
}

/// A page with the script that asks for news.
fn page_of(status: u16, mut page: Vec<u8>) -> Answer {
    page.extend_from_slice(format!("<script>\n{SCRIPT}</script>\n").as_bytes());
    text(status, "text/html", page)
}

/// An answer that the browser does not keep.
fn text(status: u16, kind: &str, bytes: Vec<u8>) -> Answer {
    let header = |name: &str, value: &str| Header::from_bytes(name, value).ok();
    let kind = if kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("svg+xml") {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_owned()
    };
    let headers = [
        header("Content-Type", &kind),
        header("Cache-Control", "no-store"),
        header("X-Content-Type-Options", "nosniff"),
    ];
    headers
        .into_iter()
        .flatten()
        .fold(Response::from_data(bytes).with_status_code(status), Response::with_header)
}

/// What a file's name says of its kind.
fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|it| it.to_str()).unwrap_or_default() {
        "html" => "text/html",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::serve::News;

    fn ask(address: SocketAddr, first_line: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{first_line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn pages_are_shown_and_nothing_else() {
        let scratch = crate::scratch::Folder::new("answer");
        let folder = scratch.path().join("book");
        std::fs::create_dir_all(folder.join("css")).unwrap();
        std::fs::write(scratch.path().join("secret.txt"), "top secret").unwrap();
        std::fs::write(folder.join("index.html"), "<p>first</p>").unwrap();
        std::fs::write(folder.join("404.html"), "<p>lost</p>").unwrap();
        std::fs::write(folder.join("css/a b.css"), "p {}").unwrap();
        let news = News { version: 3, problems: vec!["a.md:1: wrong".to_owned()] };
        let shown = Arc::new(Mutex::new(Shown { folder, news }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answering = Arc::clone(&shown);
        std::thread::spawn(move || all(listener, &answering));

        let page = ask(address, "GET /");
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("<p>first</p>"), "{page}");
        assert!(page.contains(NEWS), "the page asks for news: {page}");
        let sheet = ask(address, "GET /css/a%20b.css?v=1");
        assert!(sheet.contains("text/css") && sheet.ends_with("p {}"), "{sheet}");
        let news = ask(address, "GET /-/news");
        assert!(news.ends_with(r#"{"version":3,"problems":["a.md:1: wrong"]}"#), "{news}");
        for outside in ["/../secret.txt", "/%2e%2e/secret.txt", "/css/../../secret.txt", "/no.html"]
        {
            let answer = ask(address, &format!("GET {outside}"));
            assert!(answer.starts_with("HTTP/1.1 404"), "{outside}: {answer}");
            assert!(
                !answer.contains("top secret") && answer.contains("lost"),
                "{outside}: {answer}"
            );
        }
        assert!(ask(address, "POST /").starts_with("HTTP/1.1 405"));
        assert!(!ask(address, "HEAD /").contains("first"));
    }
}
