//! The servers that `cargo xtask bench` compares with day 04, and the client that measures them
//! all.
//!
//! `cargo bench -p day04` builds it and says what to type instead: the comparison takes
//! several programs, pinned apart, and `xtask` runs them.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use common::environment;
use common::listener::{self, Listener};
use common::talk::{Talk, TalkOptions};
use serde_json::json;

use crate::servers::{Kind, Reply};

mod load;
mod servers;

/// Servers without a ring, and a client that measures
#[derive(Parser)]
struct Cli {
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Serve until killed
    Serve(ServeOptions),
    /// Ask a server for a while, and print one JSON object with what was measured
    Load(load::Options),
}

#[derive(clap::Args)]
struct ServeOptions {
    /// How it waits
    kind: Kind,

    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    reply: Reply,

    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0", value_parser = listener::parse_address)]
    listen: SocketAddr,

    #[command(flatten)]
    talk: TalkOptions,
}

fn main() -> ExitCode {
    match Cli::parse().role {
        Some(Role::Serve(options)) => environment::report("peers", serve(&options)),
        Some(Role::Load(options)) => environment::report("peers", measure(&options)),
        None => {
            eprintln!("`cargo xtask bench` measures day04; this is only a part of it");
            ExitCode::SUCCESS
        }
    }
}

fn serve(options: &ServeOptions) -> Result<()> {
    servers::raise_open_files()?;
    let listener = Listener::bind(options.listen)?;
    let address = listener.address();
    Talk::new(options.talk).always(
        format_args!("listening on {address}"),
        json!({"event": "listening", "address": address.to_string()}),
    );
    options.kind.serve(TcpListener::from(listener), options.reply)
}

fn measure(options: &load::Options) -> Result<()> {
    let outcome = load::run(options)?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}
