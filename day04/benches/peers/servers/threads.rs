//! A thread for each connection, which blocks: the shortest server there is.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

use super::{ACK, BUFFER, Reply};

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
    if stream.read(&mut buffer)? > 0 {
        stream.write_all(ACK)?;
    }
    Ok(())
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
