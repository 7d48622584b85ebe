//! The servers. All speak day 04's two conversations, listen with the same settings and read
//! into buffers of the same size; they differ in how they wait.

pub mod epoll;
pub mod threads;
pub mod tokio;

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Bytes that one read takes: the default of `std` and tokio.
pub const BUFFER: usize = 8192;
/// The journal's answer.
pub const ACK: &[u8; 4] = b"ack\0";
/// How long a connection stays open after the answer for the client's end, as on day 04.
///
/// A close with unread input resets the connection, and the client may lose the answer. So
/// each server ends its side, discards what still comes, and closes after the client's end.
pub const LINGER: Duration = Duration::from_secs(2);

/// The two conversations.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The four bytes `ack\0`, then the end
    Ack,
    /// Every byte back, until the client ends
    Echo,
}

/// The ways of waiting.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A thread for each connection, which blocks
    Threads,
    /// One thread and epoll, through mio
    Epoll,
    /// One thread and the tokio runtime
    Tokio,
}

impl Kind {
    /// Serves until the process ends.
    ///
    /// # Errors
    /// If accepting, or waiting for all connections at once, fails. What goes wrong on one
    /// connection ends that connection.
    pub fn serve(self, listener: TcpListener, reply: Reply) -> Result<()> {
        match self {
            Kind::Threads => threads::serve(&listener, reply),
            Kind::Epoll => epoll::serve(listener, reply),
            Kind::Tokio => tokio::serve(listener, reply),
        }
    }
}

/// Raises the soft limit of open files as far as the hard one, and returns that.
pub fn raise_open_files() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("reading RLIMIT_NOFILE")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising RLIMIT_NOFILE")?;
    Ok(hard)
}
