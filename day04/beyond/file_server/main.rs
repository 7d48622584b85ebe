//! A file server that moves bytes in one of five ways, and counts what each way costs.
//!
//! ```text
//! cargo run -p day04 --example file_server -- --by zc /usr/share/common-licenses
//! curl http://127.0.0.1:4242/GPL-3
//! cargo run -p day04 --example file_server -- --compare FILE
//! ```
//!
//! It answers GET by HTTP/1.0. One thread serves up to 16 clients at a time. A file is sent in
//! parts. A part is a chain: entries that take bytes from the file, and last the entry that sends
//! them. The ways differ only in these entries.
//!
//! What it does not do:
//! - A client that reads nothing keeps its place. Day 4 has deadlines.
//! - It opens files by a plain call, and knows no lists of folders, no types and no `%20`.
//! - A file that gets shorter while it is sent ends the connection: the reply would lack bytes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use common::environment;

use self::costs::{Costs, compare};
use self::server::Server;

#[path = "../buffer_group.rs"]
mod buffer_group;
mod costs;
mod request;
mod server;
mod slot;

const CLIENTS: usize = 16;
/// Buffers of each client: together 4 MiB, which fits the usual limit on locked memory.
const BUFFERS: usize = 4;
/// Bytes in a buffer, and what a pipe holds.
const PART: usize = 64 << 10;
/// Bytes of a request, or of the head of a reply.
const TEXT: usize = 4096;

// `user_data` says what completed, for which slot, and from which of its buffers.
const ACCEPT: u64 = 1;
const REQUEST: u64 = 2;
const HEAD: u64 = 3;
const FILL: u64 = 4;
const SEND: u64 = 5;

fn user_data(operation: u64, slot: usize, buffer: usize) -> u64 {
    operation << 32 | (slot as u64) << 16 | buffer as u64
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Way {
    /// READ, SEND
    ReadSend,
    /// READ into four buffers, one SEND of all four (6.10)
    Bundle,
    /// READ, SEND_ZC (6.0)
    Zc,
    /// READ_FIXED and SEND_ZC with a registered buffer (6.0)
    Fixed,
    /// SPLICE into a pipe, SPLICE out of it
    Splice,
}

/// Serves the files of a folder by HTTP/1.0
#[derive(Parser)]
struct Options {
    /// The folder; with --compare a file
    path: PathBuf,

    /// How bytes go from a file to a client
    #[arg(long, value_enum, default_value = "read-send", value_name = "WAY")]
    by: Way,

    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4242", value_name = "ADDRESS")]
    listen: String,

    /// End after this many clients, and print what they cost
    #[arg(long, value_name = "N")]
    replies: Option<u64>,

    /// Send the file to clients of its own, by each way, and compare the costs
    #[arg(long)]
    compare: bool,

    /// With --compare: how many clients
    #[arg(long, default_value_t = 1, value_name = "N", requires = "compare")]
    clients: u64,

    /// With --compare: how long a client waits before it reads
    #[arg(long, default_value_t = 0, value_name = "MS", requires = "compare")]
    pause: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    environment::report(env!("CARGO_BIN_NAME"), run(&options))
}

fn run(options: &Options) -> Result<()> {
    if options.compare {
        return compare(options);
    }
    let mut server = Server::new(options.by, &options.path, &options.listen)?;
    writeln!(io::stdout(), "listening on {}", server.listener.local_addr()?)?;
    server.serve(options.replies)?;
    Ok(writeln!(io::stdout(), "{}\n{}", Costs::COLUMNS, server.costs.row(options.by))?)
}
