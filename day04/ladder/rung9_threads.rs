//! Rung 9: one ring a thread, and one port for all of them.
//!
//! ```text
//! cargo run -p day04 --example rung9_threads -- --reply echo --threads 2
//! ```
//!
//! This is rung 4 several times (a spinning thread or a poller a ring would want processors of
//! its own): every thread has a ring, a table and a listening socket, all bound to one port
//! with SO_REUSEPORT. The kernel gives each client to one of them, by a hash of its address,
//! and there it stays. The threads share nothing that a request touches. The number of calls
//! is that of rung 4; there are more processors to make them.
//!
//! What it costs: the hash knows nothing of load, so one thread can be busy while another
//! sleeps, and with few clients that is the rule. Fewer clients a ring also means fewer
//! completions a turn, so more calls a request than with one ring.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::thread::{self, ScopedJoinHandle};

use anyhow::Result;
use clap::Parser;
use common::environment;
use common::listener::Listener;
use common::signals::StopSignals;
use common::talk::Talk;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use self::rung4::Linked;
use self::rung4::scaffold::{self, Counts, Options, Server};

#[allow(dead_code)] // its `main`
#[path = "rung4_linked.rs"]
mod rung4;

/// Rung 9 of the ladder: one ring a thread, one port for all
#[derive(Parser)]
struct Cli {
    /// RUNG 9: threads, each with a ring of its own; without it one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    threads: Option<u8>,

    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    scaffold::report(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<()> {
    let basics = &cli.options.basics;
    let signals = StopSignals::block()?; // the threads inherit that
    let threads = cli.threads.map_or_else(environment::cpus, usize::from);
    // RUNG 9: port 0 takes a free port once, and the others are bound to that one.
    let mut listeners = vec![Listener::bind_shared(basics.listen)?];
    let address = listeners[0].address();
    for _ in 1..threads {
        listeners.push(Listener::bind_shared(address)?);
    }
    let house = House { options: &cli.options, listeners, signals, taken: AtomicU64::new(0) };
    let mut talk = Talk::new(basics.talk);

    // RUNG 9: this thread is the first of them.
    let counts = thread::scope(|scope| -> Result<Vec<Counts>> {
        let others: Vec<ScopedJoinHandle<'_, Result<Counts>>> = house.listeners[1..]
            .iter()
            .map(|listener| scope.spawn(|| house.thread(listener, || ())))
            .collect();
        let first = house.thread(&house.listeners[0], || {
            let title = format!("rung 9 · {threads} threads, a ring each");
            let details = json!({"threads": threads});
            scaffold::announce(&mut talk, &title, address, cli.options.reply, details);
        });
        let others = others.into_iter().map(|thread| match thread.join() {
            Ok(counts) => counts,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(first).chain(others).collect()
    })?;

    let each: Vec<_> = counts
        .iter()
        .map(|counts| json!({"connections": counts.connections, "enters": counts.enters}))
        .collect();
    let sum = counts.into_iter().fold(Counts::default(), sum);
    scaffold::summarise(&mut talk, &sum, json!({"threads": each}));
    Ok(())
}

/// RUNG 9: what the threads share.
struct House<'a> {
    options: &'a Options,
    listeners: Vec<Listener>,
    signals: StopSignals,
    taken: AtomicU64,
}

impl House<'_> {
    /// RUNG 9: a thread from its ring to its end. One that fails stops the others, too.
    fn thread(&self, listener: &Listener, ready: impl FnOnce()) -> Result<Counts> {
        let result = self.serve(listener, ready);
        if result.is_err() {
            // The signal is blocked: it only makes the signalfd readable, for all rings.
            let _ = kill(Pid::this(), Signal::SIGTERM);
        }
        result
    }

    fn serve(&self, listener: &Listener, ready: impl FnOnce()) -> Result<Counts> {
        // RUNG 9: made by the thread that uses it (IORING_SETUP_SINGLE_ISSUER).
        let mut ring = scaffold::ring()?;
        let basics = &self.options.basics;
        let mut server = Server::new(&mut ring, listener, &self.signals, &self.taken, basics)?;
        ready();
        let mut linked = Linked::new(self.options);
        while scaffold::turn(&mut server, &mut linked)? {
            if server.is_stopping() && !server.is_cut_off() {
                // RUNG 9: after the last client of `--max` the other threads may let in none.
                self.listeners.iter().for_each(Listener::shut);
            }
        }
        Ok(server.counts())
    }
}

/// What two rings did.
fn sum(one: Counts, other: Counts) -> Counts {
    Counts {
        connections: one.connections + other.connections,
        requests: one.requests + other.requests,
        bytes_in: Some(one.bytes_in.unwrap_or(0) + other.bytes_in.unwrap_or(0)),
        bytes_out: one.bytes_out + other.bytes_out,
        resets: one.resets + other.resets,
        enters: one.enters + other.enters,
    }
}
