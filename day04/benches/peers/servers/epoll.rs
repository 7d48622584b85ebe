//! One thread and epoll, through mio: readiness comes first, then the calls that read and
//! write.

use std::io::{self, ErrorKind, Read, Write};

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::{ACK, BUFFER, Reply};

/// Events that one wait brings at most.
const EVENTS: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

struct Server {
    poll: Poll,
    listener: TcpListener,
    reply: Reply,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: [u8; BUFFER],
}

struct Connection {
    stream: TcpStream,
    /// Bytes that the client has not taken yet; until it does, nothing more is read from it.
    rest: Vec<u8>,
}

enum Next {
    Wait,
    Close,
}

pub fn serve(listener: std::net::TcpListener, reply: Reply) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (connections, free) = (Vec::new(), Vec::new());
    Server { poll, listener, reply, connections, free, buffer: [0; BUFFER] }.run()
}

impl Server {
    fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                waited => waited.context("waiting for events")?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(index) => self.ready(index, event.is_read_closed()),
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("accepting"),
            }
        }
    }

    /// mio reports changes only, so both interests are registered once and for all.
    fn admit(&mut self, mut stream: TcpStream) -> Result<()> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest)?;
        self.connections[index] = Some(Connection { stream, rest: Vec::new() });
        Ok(())
    }

    fn ready(&mut self, index: usize, ended: bool) {
        let Some(connection) = &mut self.connections[index] else { return };
        let next = match self.reply {
            Reply::Ack => connection.acknowledge(&mut self.buffer),
            Reply::Echo => connection.echo(&mut self.buffer, ended),
        };
        // A client that went away loses its connection, and nobody else does. Dropping the
        // stream closes it, which also takes it out of epoll.
        if !matches!(next, Ok(Next::Wait)) {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    fn acknowledge(&mut self, buffer: &mut [u8]) -> io::Result<Next> {
        match self.stream.read(buffer) {
            // Four bytes always fit a socket on which nothing was sent before.
            Ok(1..) => self.stream.write_all(ACK).map(|()| Next::Close),
            Ok(0) => Ok(Next::Close),
            Err(error) => wait_if_blocked(error),
        }
    }

    /// `ended`: the client's end has come already, and will not be reported again.
    fn echo(&mut self, buffer: &mut [u8], ended: bool) -> io::Result<Next> {
        loop {
            if !self.rest.is_empty() {
                match self.stream.write(&self.rest) {
                    Ok(sent) => self.rest.drain(..sent),
                    Err(error) => return wait_if_blocked(error),
                };
                continue;
            }
            let bytes = match self.stream.read(buffer) {
                Ok(0) => return Ok(Next::Close),
                Ok(bytes) => bytes,
                Err(error) => return wait_if_blocked(error),
            };
            let sent = match self.stream.write(&buffer[..bytes]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                sent => sent?,
            };
            self.rest.extend_from_slice(&buffer[sent..bytes]);
            // A read that came short has emptied the socket (epoll(7)): one call saved.
            if self.rest.is_empty() && bytes < buffer.len() && !ended {
                return Ok(Next::Wait);
            }
        }
    }
}

fn wait_if_blocked(error: io::Error) -> io::Result<Next> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(Next::Wait),
        _ => Err(error),
    }
}
