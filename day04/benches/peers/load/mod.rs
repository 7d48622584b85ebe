//! The client: it keeps one request outstanding on each connection, compares every byte of
//! every answer, and measures for a while.
//!
//! It uses a ring itself, because it must cost less than the servers: a client that is busier
//! than the server measures itself. Its echo needs Linux 6.0 (multishot receive).

mod calls;
mod echo;
mod meter;
mod reconnect;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use self::meter::Meter;
use crate::servers::{Reply, raise_open_files};

/// How long an answer may take. A server that is slower counts as hung.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an idle connection sent once, before it fell silent.
const HELLO: &[u8] = b"anybody there?";

/// The load: requests, server and duration
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// The server
    #[arg(long)]
    pub address: SocketAddr,

    /// The server's process, whose CPU time and memory are read
    #[arg(long)]
    pub pid: u32,

    /// The conversation that the server was started with
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    pub reply: Reply,

    /// Connections that send requests, each one at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub connections: u32,

    /// Make a new connection for each request; ack always does
    #[arg(long)]
    pub reconnect: bool,

    /// Connections that get one echo and then stay silent
    #[arg(long, default_value_t = 0)]
    pub idle: u32,

    /// Bytes of a request
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    pub size: u32,

    /// Milliseconds before it counts
    #[arg(long, default_value_t = 100)]
    pub warm_up: u64,

    /// Milliseconds that count
    #[arg(long, default_value_t = 1000)]
    pub time: u64,

    /// The CPUs that others should leave alone; repeat the option for several
    #[arg(long = "cpu")]
    pub cpus: Vec<usize>,

    /// Count the server's system calls, where that is allowed; it costs some time
    #[arg(long)]
    pub count_calls: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Answers within the time that counts.
    pub requests: u64,
    /// That time, in seconds.
    pub seconds: f64,
    /// CPU time of the server in it, all its threads and the kernel's work for them, in
    /// seconds.
    pub server_cpu: f64,
    /// CPU time of this client.
    pub client_cpu: f64,
    /// CPU time of other processes on the CPUs that should be idle.
    pub others_cpu: f64,
    /// From the request to the whole answer, in microseconds: half took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// Resident memory of the server before the first client, in KiB.
    pub memory_start: u64,
    /// With the idle connections open.
    pub memory_idle: u64,
    /// System calls of the server in the time that counts, if they were counted.
    pub calls: Option<u64>,
}

/// Asks and measures.
///
/// # Errors
/// If an answer is wrong, late or missing, or a limit of this machine is too low.
pub fn run(options: &Options) -> Result<Measured> {
    let open_files = raise_open_files()?;
    let needed = u64::from(options.connections) + u64::from(options.idle) + 32;
    ensure!(
        needed <= open_files,
        "{needed} descriptors are needed and the hard RLIMIT_NOFILE allows {open_files}: \
         `ulimit -Hn {needed}` as root first"
    );
    let memory_start = testkit::resident_kib(options.pid).context("reading the server's memory")?;
    let idle = idle_connections(options)?;
    let memory_idle = testkit::resident_kib(options.pid).context("reading the server's memory")?;

    let mut meter = Meter::new(options)?;
    if options.reconnect || options.reply == Reply::Ack {
        reconnect::ask(options, &mut meter)?;
    } else {
        echo::ask(options, &mut meter)?;
    }
    drop(idle);
    meter.outcome(memory_start, memory_idle)
}

/// Connections that were served once, so that the server has set up everything for them.
fn idle_connections(options: &Options) -> Result<Vec<TcpStream>> {
    if options.idle > 0 && options.reply == Reply::Ack {
        bail!("--idle needs --reply echo: an ack ends its connection");
    }
    let greet = |number| {
        let mut stream = connect(options.address)?;
        stream.write_all(HELLO)?;
        let mut answer = [0; HELLO.len()];
        stream.read_exact(&mut answer).with_context(|| format!("idle connection {number}"))?;
        ensure!(answer == HELLO, "idle connection {number} got another answer than it sent");
        Ok(stream)
    };
    (0..options.idle).map(greet).collect()
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A pattern whose period divides no buffer shows a piece that is out of place.
fn pattern(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}
