//! What the kernel answers about time and cancellation: the measurements of the chapter *Time and
//! cancellation*.
//!
//! ```text
//! cargo run -p day04 --example time_answers
//! ```
//!
//! Each operation is started on a ring of its own and ended by each means. A line is a question and
//! its answer: what completed, in its order, and what became of the bytes.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use common::environment;
use nix::unistd::alarm;

use self::means::{Key, Means};
use self::operations::OPERATIONS;

mod by_worker;
mod means;
mod operation;
mod operations;
mod timers;

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run())
}

fn run() -> Result<()> {
    // A kernel that loses a completion must not keep this program.
    alarm::set(200);
    let mut by_user_data = Vec::new();
    for means in [
        Means::Cancel(Key::UserData),
        Means::LinkTimeout,
        Means::SyncCancel,
        Means::Close,
        Means::CloseSlot,
    ] {
        for (name, operation) in OPERATIONS {
            if let Some(answer) = means::end(means, name, operation)? {
                say(&format!("{}, {name}", means.name()), &answer)?;
                if means == Means::Cancel(Key::UserData) {
                    by_user_data.push((name, answer));
                }
            }
        }
    }
    means::keys(&by_user_data)?;
    means::exit()?;
    timers::ask()
}

fn say(question: &str, answer: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{question}: {answer}")?)
}
