//! Reads a request, of which only the head is used (RFC 9112).

use std::io::{self, Read as _};
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

impl Request {
    /// Reads a request that arrives within this time.
    pub fn read(mut client: &TcpStream, patience: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + patience;
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
        Self::parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Parses a request. `None` if this server does not answer it: another method, or a header that
    /// occurs twice, which two readers could read differently.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split("\r\n\r\n").next()?.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let method = match words.next()? {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => return None,
        };
        let path = words.next()?.split(['?', '#']).next()?.to_owned();
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name = name.to_ascii_lowercase();
            if headers.iter().any(|(other, _)| *other == name) {
                return None;
            }
            headers.push((name, value.trim().to_owned()));
        }
        Some(Self { method, path, headers })
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
        for head in [
            "PUT / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n",
            "GET / HTTP/1.1\r\nno header\r\n\r\n",
        ] {
            assert!(Request::parse(head.as_bytes()).is_none(), "{head}");
        }
    }
}
