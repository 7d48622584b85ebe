//! What a way costs, and the clients that compare them.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use nix::errno::Errno;

use super::server::Server;
use super::{Options, PART, Way};

/// The server's counts.
#[derive(Default)]
pub struct Costs {
    /// Replies that were sent to their end.
    pub replies: u64,
    /// Replies that were not.
    pub failed: u64,
    /// What the kernel said last to one of them.
    pub error: Option<Errno>,
    pub entries: u64,
    pub completions: u64,
    /// Calls of `io_uring_enter(2)`.
    pub enters: u64,
    /// Buffers that the kernel had at one time, at most.
    pub buffers: usize,
    pub notifications: u64,
    /// How many notifications say that the kernel has copied all the same.
    pub copied: u64,
}

impl Costs {
    /// The names of what [`Costs::row`] prints.
    pub const COLUMNS: &str = "way        replies  entries  completions  enters  buffers  copied";

    /// A row of a table.
    pub fn row(&self, by: Way) -> String {
        let Costs { replies, entries, completions, enters, .. } = self;
        let buffers = format!("{} KiB", self.buffers * (PART >> 10));
        let copied = match self.notifications {
            0 => String::new(),
            all => format!("{} of {all}", self.copied),
        };
        let failed = match (self.failed, self.error) {
            (0, _) => String::new(),
            (failed, None) => format!("{failed} failed"),
            (failed, Some(error)) => format!("{failed} failed: {error:?}"),
        };
        let name = name(by);
        let counts = format!("{replies:8} {entries:8} {completions:12} {enters:7} {buffers:>8}");
        format!("{name:9} {counts}  {copied}{failed}").trim_end().to_string()
    }
}

fn name(by: Way) -> String {
    by.to_possible_value().expect("no way is hidden").get_name().to_string()
}

/// Sends a file by each way to clients in threads of this program, which compare the bytes.
pub fn compare(options: &Options) -> Result<()> {
    let path = &options.path;
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let file = path.file_name().and_then(|name| name.to_str()).context("not a name in UTF-8")?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    writeln!(io::stdout(), "{}", Costs::COLUMNS)?;
    for by in Way::value_variants() {
        let mut server = match Server::new(*by, folder.unwrap_or(Path::new(".")), "127.0.0.1:0") {
            Ok(server) => server,
            Err(error) => {
                writeln!(io::stdout(), "{:9} {error:#}", name(*by))?;
                continue;
            }
        };
        let address = server.listener.local_addr()?;
        let pause = Duration::from_millis(options.pause);
        let clients = (0..options.clients).map(|_| {
            let request = format!("GET /{file} HTTP/1.0\r\n\r\n");
            thread::spawn(move || fetch(address, &request, pause))
        });
        let clients: Vec<_> = clients.collect();
        server.serve(Some(options.clients))?;
        for client in clients {
            let reply = client.join().expect("a client does not panic");
            let whole = reply.is_ok_and(|reply| reply.ends_with(&bytes));
            ensure!(whole || server.costs.failed > 0, "a client got other bytes by {}", name(*by));
        }
        writeln!(io::stdout(), "{}", server.costs.row(*by))?;
    }
    Ok(())
}

/// A client. It does not read for a while, and then all.
fn fetch(address: SocketAddr, request: &str, pause: Duration) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(request.as_bytes())?;
    sleep(pause);
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply)?;
    Ok(reply)
}
