//! Answers the browser: files of the built book, and news of it. Nothing else, and nothing that
//! changes anything.
//!
//! As little of HTTP/1.1 as that needs (RFC 9112): a thread for each connection, one request,
//! one answer, the end. A client that is slow or silent costs no other client anything.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::shown::{Shown, lock};
use crate::output;

/// What a page asks for news.
const NEWS: &str = "/-/news";

/// Added to each page: asks for news, loads the page again, shows what is wrong.
const SCRIPT: &str = include_str!("reload.js");

/// Time for a request to arrive, and for each part of an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest request line with its headers: a browser sends less than 2 KiB.
const LONGEST: usize = 16 * 1024;

/// Answers as long as this program runs.
pub fn all(listener: &TcpListener, shown: &Arc<Mutex<Shown>>) {
    loop {
        let answering = listener.accept().and_then(|(client, _)| {
            let shown = Arc::clone(shown);
            // A client that has gone in the meantime wants no answer.
            std::thread::Builder::new().spawn(move || drop(converse(&client, &shown)))
        });
        if let Err(wrong) = answering {
            // A limit on descriptors or threads. Clients that are silent will have gone soon.
            output::aside(&format!("a browser could not be answered: {wrong}"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Reads a request, answers it, and ends the connection.
fn converse(mut client: &TcpStream, shown: &Mutex<Shown>) -> io::Result<()> {
    let head = head(client)?;
    let answer = answer(&head, shown);
    client.set_write_timeout(Some(PATIENCE))?;
    client.write_all(&answer.bytes(head.starts_with("HEAD ")))?;
    // What is left of a request (its body) is read: closing would reset the connection, and the
    // client could lose the answer.
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(PATIENCE))?;
    io::copy(&mut client.take(LONGEST as u64), &mut io::sink()).map(drop)
}

/// The request line and the headers.
fn head(mut client: &TcpStream) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        client.set_read_timeout(Some(left))?;
        match client.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => bytes.extend(&piece[..length]),
        }
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// An answer that the browser does not keep.
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: &'static str, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind, body: body.into() }
    }

    /// A page with the script that asks for news.
    fn page(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let mut page = Self::new(status, "text/html; charset=utf-8", body);
        page.body.extend_from_slice(format!("<script>\n{SCRIPT}</script>\n").as_bytes());
        page
    }

    /// As it is sent; only its head, if that was asked for.
    fn bytes(&self, only_head: bool) -> Vec<u8> {
        let Self { status, kind, body } = self;
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Connection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        if !only_head {
            bytes.extend_from_slice(body);
        }
        bytes
    }
}

/// The answer to a request.
fn answer(head: &str, shown: &Mutex<Shown>) -> Answer {
    let plain = |status, text: &str| Answer::new(status, "text/plain; charset=utf-8", text);
    if !is_for_us(head) {
        return plain("403 Forbidden", "the book is at 127.0.0.1, under no other name\n");
    }
    let mut words = head.split(' ');
    let (Some("GET" | "HEAD"), Some(target)) = (words.next(), words.next()) else {
        return plain("405 Method Not Allowed", "this server only shows the book\n");
    };
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let shown = lock(shown);
    if path == NEWS {
        let news = serde_json::to_vec(&shown.news).unwrap_or_default();
        return Answer::new("200 OK", "application/json; charset=utf-8", news);
    }
    if shown.folder.as_os_str().is_empty() {
        let page = "<!DOCTYPE html><title>The book</title><p>The book cannot be built.</p>";
        return Answer::page("503 Service Unavailable", page);
    }
    let found = file(&shown.folder, path).and_then(|file| Some((std::fs::read(&file).ok()?, file)));
    match found {
        Some((bytes, file)) => match kind(&file) {
            "text/html; charset=utf-8" => Answer::page("200 OK", bytes),
            kind => Answer::new("200 OK", kind, bytes),
        },
        None => {
            let page = std::fs::read(shown.folder.join("404.html")).unwrap_or_default();
            Answer::page("404 Not Found", page)
        }
    }
}

/// Whether the browser calls this server by the name of this machine. A page from elsewhere can
/// have its own name resolved to 127.0.0.1, and would then read what is answered.
fn is_for_us(head: &str) -> bool {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .and_then(|(_, host)| host.trim().split(':').next())
        .is_some_and(|name| ["127.0.0.1", "localhost"].contains(&name))
}

/// The file that an address means; none outside the folder, not even through a link.
fn file(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = crate::markup::decoded(path.as_bytes()).ok()?;
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
    let file = file.canonicalize().ok()?;
    (file.starts_with(folder.canonicalize().ok()?) && file.is_file()).then_some(file)
}

/// What a file's name says of its kind.
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::shown::News;
    use super::*;

    /// A book of a few files, served until the test ends.
    fn served(folder: &Path) -> SocketAddr {
        std::fs::create_dir_all(folder.join("css")).unwrap();
        std::fs::write(folder.join("index.html"), "<p>first</p>").unwrap();
        std::fs::write(folder.join("404.html"), "<p>lost</p>").unwrap();
        std::fs::write(folder.join("css/a b.css"), "p {}").unwrap();
        let news = News { version: 3, problems: vec!["a.md:1: wrong".to_owned()] };
        let shown = Arc::new(Mutex::new(Shown { folder: folder.to_owned(), news }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || all(&listener, &shown));
        address
    }

    fn send(address: SocketAddr, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(testkit::PATIENCE)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    }

    fn ask_for(address: SocketAddr, host: &str, first_line: &str) -> String {
        let mut client = send(address, &format!("{first_line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    fn ask(address: SocketAddr, first_line: &str) -> String {
        ask_for(address, &address.to_string(), first_line)
    }

    #[test]
    fn pages_are_shown_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("book");
        let address = served(&folder);
        std::fs::write(scratch.path().join("secret.txt"), "top secret").unwrap();
        std::os::unix::fs::symlink("../secret.txt", folder.join("link.txt")).unwrap();
        std::os::unix::fs::symlink("..", folder.join("up")).unwrap();

        let page = ask(address, "GET /");
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("<p>first</p>"), "{page}");
        assert!(page.contains(NEWS), "the page asks for news: {page}");
        let sheet = ask(address, "GET /css/a%20b.css?v=1");
        assert!(sheet.contains("text/css") && sheet.ends_with("p {}"), "{sheet}");
        let news = ask(address, "GET /-/news");
        assert!(news.ends_with(r#"{"version":3,"problems":["a.md:1: wrong"]}"#), "{news}");
        for outside in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/css/../../secret.txt",
            "/link.txt",
            "/up/secret.txt",
            "/no.html",
        ] {
            let answer = ask(address, &format!("GET {outside}"));
            assert!(answer.starts_with("HTTP/1.1 404"), "{outside}: {answer}");
            assert!(
                !answer.contains("top secret") && answer.contains("lost"),
                "{outside}: {answer}"
            );
        }
        assert!(ask(address, "POST /").starts_with("HTTP/1.1 405"));
        let head = ask(address, "HEAD /");
        assert!(head.starts_with("HTTP/1.1 200") && !head.contains("first"), "{head}");
    }

    #[test]
    fn only_the_name_of_this_machine_is_answered() {
        let scratch = tempfile::tempdir().unwrap();
        let address = served(scratch.path());
        for host in ["127.0.0.1", "localhost:3000", "LOCALHOST.evil.example", "evil.example:3000"] {
            let ours = !host.contains("evil");
            let answer = ask_for(address, host, "GET /");
            assert_eq!(answer.contains("first"), ours, "{host}: {answer}");
            assert_eq!(answer.starts_with("HTTP/1.1 403"), !ours, "{host}: {answer}");
        }
        let mut nameless = send(address, "GET / HTTP/1.1\r\n\r\n");
        let mut answer = String::new();
        nameless.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }

    #[test]
    fn no_client_keeps_another_from_its_answer() {
        let scratch = tempfile::tempdir().unwrap();
        let address = served(scratch.path());
        // More than the sockets hold, so that a client that does not read leaves some of it.
        std::fs::write(scratch.path().join("large.txt"), vec![b'x'; 64 << 20]).unwrap();
        let request = format!("GET /large.txt HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let silent: Vec<_> = (0..20).map(|_| send(address, "")).collect();
        let unread: Vec<_> = (0..3).map(|_| send(address, &request)).collect();
        assert!(ask(address, "GET /").contains("first"));
        drop((silent, unread));
    }

    #[test]
    fn an_endless_request_is_cut_short() {
        let scratch = tempfile::tempdir().unwrap();
        let mut client = send(served(scratch.path()), "GET /");
        let line = [b'a'; 64 * 1024];
        // The server closes; what is sent after that is refused.
        testkit::wait_until("the end", || client.write_all(&line).is_err());
    }
}
