//! One thread and epoll, through mio: readiness comes first, then the calls that read and
//! write.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::{ACK, BUFFER, LINGER, Reply};

/// Events that one wait brings at most.
const EVENTS: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

struct Server {
    poll: Poll,
    listener: TcpListener,
    reply: Reply,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// When the lingering connections must be closed: the first one is due first.
    lingering: VecDeque<(Instant, usize)>,
    buffer: [u8; BUFFER],
}

struct Connection {
    stream: TcpStream,
    /// Bytes that the client has not taken yet; until it does, nothing more is read from it.
    rest: Vec<u8>,
    /// It has its answer; until then, input is discarded.
    until: Option<Instant>,
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
    let (connections, free, lingering) = (Vec::new(), Vec::new(), VecDeque::new());
    Server { poll, listener, reply, connections, free, lingering, buffer: [0; BUFFER] }.run()
}

impl Server {
    fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let due = self.close_overdue();
            let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
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
        self.connections[index] = Some(Connection { stream, rest: Vec::new(), until: None });
        Ok(())
    }

    fn ready(&mut self, index: usize, ended: bool) {
        let Some(connection) = &mut self.connections[index] else { return };
        let next = match self.reply {
            Reply::Ack if connection.until.is_some() => connection.discard(&mut self.buffer),
            Reply::Ack => {
                let next = connection.acknowledge(&mut self.buffer, ended);
                self.lingering.extend(connection.until.map(|until| (until, index)));
                next
            }
            Reply::Echo => connection.echo(&mut self.buffer, ended),
        };
        // A client that went away loses its connection, and no other client does.
        if !matches!(next, Ok(Next::Wait)) {
            self.close(index);
        }
    }

    /// Closes the connections that have lingered long enough. Returns when the next one is due.
    fn close_overdue(&mut self) -> Option<Instant> {
        while let Some(&(until, index)) = self.lingering.front() {
            let connection = self.connections[index].as_ref();
            if connection.is_some_and(|connection| connection.until == Some(until)) {
                if until > Instant::now() {
                    return Some(until);
                }
                self.close(index);
            }
            self.lingering.pop_front();
        }
        None
    }

    /// Dropping the stream closes it, which also takes it out of epoll.
    fn close(&mut self, index: usize) {
        self.connections[index] = None;
        self.free.push(index);
    }
}

impl Connection {
    /// `ended`: the client's end has come already, and will not be reported again.
    fn acknowledge(&mut self, buffer: &mut [u8], ended: bool) -> io::Result<Next> {
        let bytes = match self.stream.read(buffer) {
            Ok(0) => return Ok(Next::Close),
            Ok(bytes) => bytes,
            Err(error) => return wait_if_blocked(error),
        };
        // Four bytes always fit a socket on which nothing was sent before.
        self.stream.write_all(ACK)?;
        self.stream.shutdown(Shutdown::Write)?;
        self.until = Some(Instant::now() + LINGER);
        // A read that came short has emptied the socket (epoll(7)): one call saved.
        if bytes < buffer.len() && !ended { Ok(Next::Wait) } else { self.discard(buffer) }
    }

    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<Next> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Next::Close),
                Ok(_) => {}
                Err(error) => return wait_if_blocked(error),
            }
        }
    }

    /// `ended`: as in `acknowledge`.
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
            // As in `acknowledge`.
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
