//! An echo server in async/await, on an executor of our own. It asks a silent client whether it is
//! still there, and closes its connection if it stays silent.
//!
//! ```text
//! cargo run -p day04 --example async_echo
//! nc -N 127.0.0.1 4242                    # in a second terminal: type, then wait
//! ```
//!
//! Ctrl-C ends it.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;

use self::executor::{block_on, spawn};
use self::operation::{Accepts, Either, read, recv, select, send, sleep};

mod executor;
mod operation;

const SIZE: usize = 4096;

/// Sends back what it receives; asks a silent client, and lets it go if it stays silent
#[derive(Clone, Copy, Parser)]
struct Options {
    /// The address to listen on; port 0 for a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4242")]
    listen: SocketAddr,

    /// Milliseconds of silence until it asks, and again until it closes
    #[arg(long, default_value_t = 3000, value_name = "MS")]
    silence: u64,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(Options::parse()))
}

fn run(options: Options) -> Result<()> {
    let listener = TcpListener::bind(options.listen)
        .with_context(|| format!("listening on {}", options.listen))?;
    let signals = block_stop_signals()?;
    say(format_args!("listening on {}", listener.local_addr()?))?;
    let end = block_on(async {
        let stop = read(&signals, vec![0; size_of::<libc::signalfd_siginfo>()]);
        select(stop, serve(listener, Duration::from_millis(options.silence))).await
    })?;
    match end {
        Either::First((signal, _)) => signal.map(drop).context("reading the signal"),
        Either::Second(served) => served,
    }
}

/// Ctrl-C and SIGTERM no longer end the program, but can be read.
fn block_stop_signals() -> Result<Rc<OwnedFd>> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    Ok(Rc::new(SignalFd::new(&signals)?.as_fd().try_clone_to_owned()?))
}

async fn serve(listener: TcpListener, silence: Duration) -> Result<()> {
    let mut accepts = Accepts::new(listener);
    for number in 1.. {
        let client = accepts.next().await.context("ACCEPT")?;
        spawn(async move {
            let ended = echo(&client, silence).await;
            let how = ended.map_or_else(|error| error.to_string(), str::to_string);
            let _ = say(format_args!("client {number}: {how}"));
        });
    }
    Ok(())
}

// ANCHOR: echo
/// Serves one client, and returns how that ended.
async fn echo(client: &Rc<OwnedFd>, silence: Duration) -> io::Result<&'static str> {
    let mut asked = false;
    loop {
        let mut receive = recv(client, vec![0; SIZE]);
        let (received, mut bytes) = match select(&mut receive, sleep(silence)).await {
            Either::First(done) => done,
            Either::Second(_) => {
                receive.cancel();
                receive.await // Cancelled, or bytes that have come meanwhile.
            }
        };
        match received {
            Ok(0) => return Ok("closed"),
            Ok(length) => {
                bytes.truncate(length as usize);
                asked = false;
            }
            Err(error) if error.raw_os_error() != Some(libc::ECANCELED) => return Err(error),
            Err(_) if asked => return Ok("silent, let go"),
            Err(_) => {
                bytes = b"still there?\n".to_vec();
                asked = true;
            }
        }
        send(client, bytes).await.0?;
    }
}
// ANCHOR_END: echo

fn say(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
