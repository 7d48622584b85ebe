//! A thread for each connection, which blocks: the shortest server there is.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{ACK, BUFFER, LINGER, Reply};

pub fn serve(listener: &TcpListener, reply: Reply) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().context("accepting")?;
        thread::Builder::new()
            .spawn(move || {
                // A client that went away ends its thread and nothing else.
                let _ = match reply {
                    Reply::Ack => acknowledge(stream),
                    Reply::Echo => echo(stream),
                };
            })
            .context("starting a thread for a connection")?;
    }
}

fn acknowledge(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    if stream.read(&mut buffer)? == 0 {
        return Ok(());
    }
    stream.write_all(ACK)?;
    stream.shutdown(Shutdown::Write)?;
    let until = Instant::now() + LINGER;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut buffer)? == 0 {
            return Ok(());
        }
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..bytes])?;
    }
}
