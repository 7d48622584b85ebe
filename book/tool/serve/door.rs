//! Admits only a browser on this machine that has the address which `book serve` printed.
//!
//! Any program on this machine can connect, and so can any page in the reader's browser, from any
//! site. Three checks keep them out:
//!
//! - a word in the address that cannot be guessed, new at each start. It is in the path, not in a
//!   cookie: a browser sends its cookies for 127.0.0.1 to every port there;
//! - the name in `Host`: a page from elsewhere can have its own name resolved to 127.0.0.1, and
//!   could then read the answers as its own;
//! - the page that asks, as the browser names it (`Origin`, `Sec-Fetch-Site`): another page gets
//!   nothing, even if it knows the word.

use std::io::{self, Read as _};

use super::request::{Method, Request};

/// The prefix of all addresses.
#[derive(Debug)]
pub struct Door {
    /// `/WORD/`.
    path: String,
}

impl Door {
    /// With a new word of 128 random bits.
    pub fn new() -> io::Result<Self> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self { path: format!("/{:032x}/", u128::from_ne_bytes(bytes)) })
    }

    /// The path that every address begins with.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The rest of the request's path, or why it gets no answer.
    pub fn admit<'r>(&self, request: &'r Request) -> Result<&'r str, &'static str> {
        let host = request.header("host").unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if !["127.0.0.1", "localhost"].contains(&name) {
            return Err("the book is at 127.0.0.1, under no other name");
        }
        let origin = request.header("origin");
        if origin.is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
            return Err("only the book's own pages get an answer");
        }
        // Every browser sends it with a POST.
        if request.method == Method::Post && origin.is_none() {
            return Err("only the book's own pages may start anything");
        }
        let opens = request.header("sec-fetch-mode") == Some("navigate")
            && request.header("sec-fetch-dest") == Some("document");
        match request.header("sec-fetch-site") {
            None | Some("same-origin" | "none") => {}
            Some(_) if opens => {}
            Some(_) => return Err("only the book's own pages get an answer"),
        }
        request.path.strip_prefix(self.path.as_str()).ok_or(
            "the book's address has a word in it that changes with each start: \
             open the one that `cargo xtask book serve` printed last",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_book_s_own_pages_come_in() {
        let door = Door::new().unwrap();
        assert_ne!(door.path(), Door::new().unwrap().path());
        assert_eq!(door.path().len(), 34);
        let page = format!("{}day1.html", door.path());
        let admits = |line: &str, headers: &str| {
            let head = format!("{line} HTTP/1.1\r\n{headers}\r\n\r\n");
            let request = Request::parse(head.as_bytes()).unwrap();
            door.admit(&request).map(str::to_owned).is_ok_and(|rest| rest == "day1.html")
        };
        let get = format!("GET {page}?x");
        let post = format!("POST {page}");
        for (line, headers, admitted) in [
            (&*get, "Host: 127.0.0.1:3000", true),
            (&get, "host:localhost", true),
            (&get, "Host: evil.example", false),
            (&get, "Host: 127.0.0.1.evil.example:3000", false),
            (&get, "X: y", false),
            ("GET /day1.html", "Host: 127.0.0.1:3000", false),
            ("GET /", "Host: 127.0.0.1:3000", false),
            (&get, "Host: localhost:3000\r\nOrigin: http://localhost:3000", true),
            (&get, "Host: localhost:3000\r\nOrigin: http://localhost:3001", false),
            (&get, "Host: localhost:3000\r\nOrigin: https://localhost:3000", false),
            (&get, "Host: localhost:3000\r\nOrigin: null", false),
            (&get, "Host: localhost\r\nSec-Fetch-Site: same-origin", true),
            (&get, "Host: localhost\r\nSec-Fetch-Site: same-site", false),
            (&get, "Host: localhost\r\nSec-Fetch-Site: cross-site", false),
            (
                &get,
                "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
                 Sec-Fetch-Dest: document",
                true,
            ),
            (
                &get,
                "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
                 Sec-Fetch-Dest: iframe",
                false,
            ),
            (&post, "Host: localhost:3000\r\nOrigin: http://localhost:3000", true),
            (&post, "Host: localhost:3000", false),
        ] {
            assert_eq!(admits(line, headers), admitted, "{line}\n{headers}");
        }
    }
}
