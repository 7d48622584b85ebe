//! An answer, and how it is sent.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a client may take for a part of an answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take for all of it.
const AT_MOST: Duration = Duration::from_secs(60);

/// Every answer's headers. The browser caches nothing, guesses no content type, sends the address
/// to no other site, shows no page in a frame elsewhere, and loads nothing from other machines.
const HEADERS: &str = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
     Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
     Cross-Origin-Opener-Policy: same-origin\r\n\
     Content-Security-Policy: default-src 'self'; script-src 'self' 'unsafe-inline'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
     frame-ancestors 'none'; form-action 'none'; object-src 'none'\r\nConnection: close\r\n\r\n";

/// An answer of known length.
#[derive(Debug)]
pub struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    /// With a body of this kind.
    pub fn new(status: &'static str, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind, body: body.into() }
    }

    /// A plain sentence.
    pub fn plain(status: &'static str, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    /// A value as JSON.
    pub fn json(value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self::new("200 OK", "application/json; charset=utf-8", body)
    }

    /// Sends it; only its head, if the request was HEAD.
    pub fn send(&self, mut client: &TcpStream, only_head: bool) -> io::Result<()> {
        let Self { status, kind, body } = self;
        let length = body.len();
        client.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{HEADERS}"
        );
        client.write_all(head.as_bytes())?;
        let deadline = Instant::now() + AT_MOST;
        for piece in body.chunks(64 * 1024).take_while(|_| !only_head) {
            client.write_all(piece)?;
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

/// Begins an answer that ends with the connection: a line of JSON for each event.
pub fn begin_stream(mut client: &TcpStream) -> io::Result<()> {
    client.set_write_timeout(Some(PATIENCE))?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n{HEADERS}");
    client.write_all(head.as_bytes())
}
