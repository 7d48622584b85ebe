//! Writes the blocks by plain calls.

use std::env;
use std::io::Write;
use std::net::TcpStream;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let port = args.next().context("usage: second_completion PORT WORD…")?;
    let mut socket = TcpStream::connect(("127.0.0.1", port.parse()?))?;
    for word in args {
        let block: Vec<u8> = word.bytes().cycle().take(64 << 10).collect();
        socket.write_all(&block)?;
    }
    Ok(())
}
