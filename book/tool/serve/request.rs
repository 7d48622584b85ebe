//! Reads a request, of which only the head is used (RFC 9112). One that cannot be read gets the
//! reason as its answer, which says nothing of the book.

use std::io::{self, ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The longest request line with its headers: a browser sends less than 2 KiB.
const LONGEST: usize = 16 * 1024;

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST: to start or stop something.
    Post,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// Its kind.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    headers: Vec<(String, String)>,
}

/// Why there is no request.
#[derive(Debug)]
pub enum Unread {
    /// The client has gone.
    Gone(io::Error),
    /// This server does not answer such a request: the status, and the reason.
    Refused(&'static str, &'static str),
}

impl From<io::Error> for Unread {
    fn from(wrong: io::Error) -> Self {
        match wrong.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => LATE,
            _ => Self::Gone(wrong),
        }
    }
}

const LATE: Unread = Unread::Refused("408 Request Timeout", "the request did not arrive in time");
const LONG: Unread =
    Unread::Refused("431 Request Header Fields Too Large", "the request's head is too long");
const UNKNOWN: Unread =
    Unread::Refused("501 Not Implemented", "this server knows GET, HEAD and POST");
const BAD: Unread = Unread::Refused("400 Bad Request", "this is no request of HTTP/1.1");
const TWICE: Unread = Unread::Refused("400 Bad Request", "a header occurs twice");

impl Request {
    /// Reads a request that arrives within this time.
    pub fn read(mut client: &TcpStream, patience: Duration) -> Result<Self, Unread> {
        let deadline = Instant::now() + patience;
        let mut bytes = Vec::new();
        let mut piece = [0; 1024];
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LATE);
            }
            if bytes.len() > LONGEST {
                return Err(LONG);
            }
            client.set_read_timeout(Some(left))?;
            match client.read(&mut piece)? {
                0 if bytes.is_empty() => return Err(Unread::Gone(ErrorKind::UnexpectedEof.into())),
                0 => return Err(BAD),
                length => bytes.extend(&piece[..length]),
            }
        }
        Self::parse(&bytes)
    }

    /// Parses a request. Refuses what two readers could read differently.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unread> {
        let text = std::str::from_utf8(bytes).map_err(|_| BAD)?;
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let (first, lines) = head.split_once("\r\n").unwrap_or((head, ""));
        let [method, target, version] = first.split(' ').collect::<Vec<_>>()[..] else {
            return Err(BAD);
        };
        if !version.starts_with("HTTP/1.") {
            return Err(BAD);
        }
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => return Err(UNKNOWN),
        };
        let path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines.split("\r\n").filter(|_| !lines.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(BAD)?;
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(BAD);
            }
            let name = name.to_ascii_lowercase();
            if headers.iter().any(|(other, _)| *other == name) {
                return Err(TWICE);
            }
            headers.push((name, value.trim().to_owned()));
        }
        Ok(Self { method, path, headers })
    }

    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart() {
        let head = b"GET /a?b#c HTTP/1.1\r\nHost: x:1\r\nACCEPT:  y \r\n\r\nrest: of it";
        let request = Request::parse(head).unwrap();
        assert_eq!((request.method, request.path.as_str()), (Method::Get, "/a"));
        assert_eq!(request.header("host"), Some("x:1"));
        assert_eq!(request.header("accept"), Some("y"));
        assert_eq!(request.header("rest"), None);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (head, wanted) in [
            ("PUT / HTTP/1.1\r\nHost: x\r\n\r\n", "501"),
            ("GET\r\n\r\n", "400"),
            ("GET /\r\n\r\n", "400"),
            ("GET / x HTTP/1.1\r\n\r\n", "400"),
            ("PRI * HTTP/2.0\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nno header\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nX: a\r\n Host: x\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\n: x\r\n\r\n", "400"),
        ] {
            let read = Request::parse(head.as_bytes());
            let refused =
                matches!(&read, Err(Unread::Refused(status, _)) if status.starts_with(wanted));
            assert!(refused, "{head}: {read:?}");
        }
        assert!(Request::parse(b"GET / HTTP/1.0\r\n\r\n").is_ok());
    }
}
