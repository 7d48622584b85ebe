//! A client that checks what it gets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use testkit::Server;

use super::quote::quote;
use super::report::Failure;

/// One connection to a day. Its reads and writes time out after the server's patience.
pub struct Client {
    name: String,
    stream: TcpStream,
}

impl Client {
    /// Connects; failures use `name` for this client.
    pub fn connect(server: &Server, name: impl Into<String>) -> Result<Client, Failure> {
        let name = name.into();
        match server.connect() {
            Ok(stream) => Ok(Client { name, stream }),
            Err(error) => Err(Failure::new(name, "a connection", format!("{error:#}"))),
        }
    }

    /// Its name in failures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Renames it, once the server has sent more.
    pub fn rename(&mut self, name: String) {
        self.name = name;
    }

    /// The socket, for poll(2).
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends all of it.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        (&self.stream)
            .write_all(bytes)
            .map_err(|error| self.failure(&format!("to send {}", quote(bytes)), &told(&error, &[])))
    }

    /// Ends the sending side, and goes on reading.
    pub fn end(&self) -> Result<(), Failure> {
        self.stream
            .shutdown(Shutdown::Write)
            .map_err(|error| self.failure("to end its sending", &told(&error, &[])))
    }

    /// Reads exactly this.
    pub fn expect(&self, expected: &[u8]) -> Result<(), Failure> {
        let mut got = vec![0; expected.len()];
        let (len, end) = self.fill(&mut got);
        got.truncate(len);
        match end {
            _ if got == expected => Ok(()),
            // The answer is wrong already: do not wait for the rest.
            _ if !expected.starts_with(&got) => Err(self.differs(expected, &got)),
            end => Err(self.failure(&quote(expected), &end.unwrap_or_default())),
        }
    }

    /// Reads one line.
    pub fn line(&self) -> Result<String, Failure> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            if let (0, end) = self.fill(&mut byte) {
                let got = end.unwrap_or_default();
                return Err(self.failure("a line of text", &format!("{} and {got}", quote(&line))));
            }
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_string())
    }

    /// Reads the end-of-file.
    pub fn expect_end(&self) -> Result<(), Failure> {
        let mut more = [0; 16];
        loop {
            return match (&self.stream).read(&mut more) {
                Ok(0) => Ok(()),
                Ok(len) => Err(self.failure("the end-of-file", &quote(&more[..len]))),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(self.failure("the end-of-file", &told(&error, &[]))),
            };
        }
    }

    /// Sends a message and reads it back meanwhile: a server with bounded memory stops receiving
    /// until its answers are read.
    pub fn echo(&self, message: &[u8]) -> Result<(), Failure> {
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| self.send(message));
            let read = self.expect(message);
            if read.is_err() {
                // The server will not take the rest, so do not wait for it.
                let _ = self.stream.shutdown(Shutdown::Both);
            }
            let sent = sending.join().unwrap_or(Ok(()));
            read.and(sent)
        })
    }

    /// Reads into the buffer until it is full or no more bytes come: returns how many came, and in
    /// words why it stopped.
    fn fill(&self, buffer: &mut [u8]) -> (usize, Option<String>) {
        let mut len = 0;
        while len < buffer.len() {
            match (&self.stream).read(&mut buffer[len..]) {
                Ok(0) => return (len, Some(told_end(&buffer[..len]))),
                Ok(more) => len += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (len, Some(told(&error, &buffer[..len]))),
            }
        }
        (len, None)
    }

    fn differs(&self, expected: &[u8], got: &[u8]) -> Failure {
        let at = expected.iter().zip(got).take_while(|(one, other)| one == other).count();
        let got = format!("{}, different from byte {at} on", quote(got));
        self.failure(&quote(expected), &got)
    }

    fn failure(&self, expected: &str, got: &str) -> Failure {
        Failure::new(&self.name, expected, got)
    }
}

fn told_end(before: &[u8]) -> String {
    after("the end-of-file", before)
}

fn told(error: &io::Error, before: &[u8]) -> String {
    let what = match error.kind() {
        ErrorKind::ConnectionReset => "a reset".to_string(),
        ErrorKind::BrokenPipe => "a closed connection".to_string(),
        // A socket's timeout returns these (socket(7), SO_RCVTIMEO).
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "nothing in time".to_string(),
        _ => error.to_string(),
    };
    after(&what, before)
}

fn after(what: &str, before: &[u8]) -> String {
    if before.is_empty() { what.to_string() } else { format!("{what} after {}", quote(before)) }
}
