//! The server, tested by raw sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use super::connections;
use super::door::Door;
use super::shown::{News, Shown};
use super::site::Site;

/// A book of a few files, served until the test ends.
struct Served {
    address: SocketAddr,
    /// `/WORD/`.
    path: String,
}

impl Served {
    fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("css")).unwrap();
        std::fs::write(folder.join("index.html"), "<p>first</p>").unwrap();
        std::fs::write(folder.join("404.html"), "<base href=\"/\"><p>lost</p>").unwrap();
        std::fs::write(folder.join("css/a b.css"), "p {}").unwrap();
        let site = Site::new(Door::new().unwrap(), folder.join("workspace"), "false");
        let news = News { version: 3, problems: vec!["a.md:1: wrong".to_owned()] };
        *site.shown.lock().unwrap() = Shown { folder: folder.to_owned(), news };
        let path = site.door.path().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let site = Arc::new(site);
        std::thread::spawn(move || connections::serve(&listener, &site));
        Self { address, path }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(testkit::PATIENCE)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    }

    /// The answer to a request with these lines.
    fn answer(&self, lines: &str) -> String {
        let mut answer = String::new();
        self.send(&format!("{lines}\r\n\r\n")).read_to_string(&mut answer).unwrap();
        answer
    }

    /// The answer to a request for a path below the door.
    fn ask(&self, method: &str, path: &str) -> String {
        let Self { address, path: door } = self;
        self.answer(&format!("{method} {door}{path} HTTP/1.1\r\nHost: {address}"))
    }
}

#[test]
fn pages_are_shown_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("book");
    let served = Served::new(&folder);
    std::fs::write(scratch.path().join("secret.txt"), "top secret").unwrap();
    std::os::unix::fs::symlink("../secret.txt", folder.join("link.txt")).unwrap();
    std::os::unix::fs::symlink("..", folder.join("up")).unwrap();

    let page = served.ask("GET", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<p>first</p>"), "{page}");
    let script = format!("src=\"{}-/main.js\"", served.path);
    assert!(page.contains(&script), "the page lives: {page}");
    let script = served.ask("GET", "-/main.js");
    assert!(script.contains("text/javascript") && script.contains("import"), "{script}");
    let sheet = served.ask("GET", "css/a%20b.css?v=1");
    assert!(sheet.contains("text/css") && sheet.ends_with("p {}"), "{sheet}");
    let news = served.ask("GET", "-/news");
    assert!(news.contains(r#"{"version":3,"problems":["a.md:1: wrong"]"#), "{news}");
    for outside in [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "css/../../secret.txt",
        "link.txt",
        "up/secret.txt",
        "%2fsecret.txt",
        "-/../secret.txt",
        "no.html",
        "index.html/",
        "/index.html",
        "css/",
        "css//a%20b.css",
    ] {
        let answer = served.ask("GET", outside);
        assert!(answer.starts_with("HTTP/1.1 404"), "{outside}: {answer}");
        assert!(!answer.contains("top secret"), "{outside}: {answer}");
    }
    let lost = served.ask("GET", "a/b/c.html");
    assert!(lost.contains(&format!("<base href=\"{}\"><p>lost", served.path)), "{lost}");
    let head = served.ask("HEAD", "");
    assert!(head.starts_with("HTTP/1.1 200") && !head.contains("first"), "{head}");
}

#[test]
fn without_the_word_and_this_machine_s_name_there_is_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let served = Served::new(scratch.path());
    let path = &served.path;
    for host in ["127.0.0.1", "localhost:3000", "LOCALHOST.evil.example", "evil.example:3000"] {
        let ours = !host.contains("evil");
        let answer = served.answer(&format!("GET {path} HTTP/1.1\r\nHost: {host}"));
        assert_eq!(answer.contains("first"), ours, "{host}: {answer}");
        assert_eq!(answer.starts_with("HTTP/1.1 403"), !ours, "{host}: {answer}");
    }
    let address = served.address;
    let wrong = format!("/{}/", "0".repeat(path.len() - 2));
    for path in ["/", "/index.html", "/-/news", &wrong, &path[..path.len() - 2]] {
        let answer = served.answer(&format!("GET {path} HTTP/1.1\r\nHost: {address}"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
        assert!(!answer.contains(&served.path), "{path}: {answer}");
    }
    assert!(served.answer(&format!("GET {path} HTTP/1.1")).starts_with("HTTP/1.1 403"));
    // Requests from a page of another origin, from a program that knows the word, and what is not
    // HTTP.
    let from = |origin: &str| format!("POST {path}-/stop HTTP/1.1\r\nHost: {address}{origin}");
    for origin in ["\r\nOrigin: http://127.0.0.1:1", "\r\nOrigin: null", ""] {
        let answer = served.answer(&from(origin));
        assert!(answer.starts_with("HTTP/1.1 403"), "{origin}: {answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(20_000));
    for (broken, status) in [
        ("\r\n", "400 Bad Request"),
        ("GET", "400 Bad Request"),
        ("\u{0}\u{1}", "400 Bad Request"),
        ("PUT / HTTP/1.1\r\nHost: localhost", "501 Not Implemented"),
        (&long, "431 Request Header Fields Too Large"),
    ] {
        let answer = served.answer(broken);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{status}: {answer}");
        assert!(!answer.contains(&served.path), "{status}: {answer}");
    }
}

#[test]
fn no_client_keeps_another_from_its_answer() {
    const LARGE: usize = 8 << 20;
    let scratch = tempfile::tempdir().unwrap();
    let served = Served::new(scratch.path());
    // More than the sockets hold, so that a client that does not read leaves part of it.
    std::fs::write(scratch.path().join("large.txt"), vec![b'x'; LARGE]).unwrap();
    let Served { address, path } = &served;
    let large = format!("GET {path}large.txt HTTP/1.1\r\nHost: {address}\r\n\r\n");
    // More connections than there is room for, in both ways: the oldest are closed.
    let mut unread: Vec<_> = (0..100).map(|_| served.send(&large)).collect();
    assert!(served.ask("GET", "").contains("first"));
    let mut answer = Vec::new();
    let cut = unread[0].read_to_end(&mut answer);
    assert!(cut.is_err() || answer.len() < LARGE, "the oldest is closed: {cut:?}");
    let mut silent: Vec<_> = (0..200).map(|_| served.send("GET")).collect();
    assert!(served.ask("GET", "").contains("first"));
    let gone = silent.first_mut().unwrap().read(&mut [0]);
    assert!(matches!(gone, Ok(0) | Err(_)), "{gone:?}");
    drop((silent, unread));
}

#[test]
fn an_endless_request_is_cut_short() {
    let scratch = tempfile::tempdir().unwrap();
    let mut client = Served::new(scratch.path()).send("GET /");
    let line = [b'a'; 64 * 1024];
    // The server closes; later bytes are refused.
    testkit::wait_until("the end", || client.write_all(&line).is_err());
}
