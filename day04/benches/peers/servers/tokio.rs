//! The tokio runtime on one thread, a task for each connection.
//!
//! One thread, because every server here gets one CPU: there, the runtime with several
//! threads pays for passing tasks between them and gains nothing.

use std::io;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::{runtime, time};

use super::{ACK, BUFFER, LINGER, Reply};

pub fn serve(listener: std::net::TcpListener, reply: Reply) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await.context("accepting")?;
            tokio::spawn(async move {
                // A client that went away ends its task and nothing else.
                let _ = match reply {
                    Reply::Ack => acknowledge(stream).await,
                    Reply::Echo => echo(stream).await,
                };
            });
        }
    })
}

async fn acknowledge(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    if stream.read(&mut buffer).await? == 0 {
        return Ok(());
    }
    stream.write_all(ACK).await?;
    stream.shutdown().await?; // our side only
    let discard = async { while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {} };
    let _ = time::timeout(LINGER, discard).await;
    Ok(())
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..bytes]).await?;
    }
}
