//! `--on`: one command of the book on one kernel.
//!
//! The machine has neither Cargo nor a shell: [`program`] says which packed program a command means.
//! The tracer follows that program there, and its rings come back with its output.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use common::environment::Refusal;

use super::console::{Console, Message};

/// Where the program and its arguments are in the initramfs, one a line.
pub const COMMAND: &str = "/command";

/// Where the tracer writes the rings.
pub const RINGS: &str = "/rings";

/// The tracer, as the book's pages use it.
const TRACER: [&str; 6] = ["/ringtrace", "--fast", "--summary", "--recording", RINGS, "--"];

/// `cargo xtask run` and `cargo xtask atlas`, with the packed programs.
const RUN: [&str; 6] = ["/xtask", "run", "--programs", "/days", "--patience", "60"];
const ATLAS: [&str; 3] = ["/atlas-runner", "--programs", "/days"];

/// `cargo xtask exercise check`, with a program that this tool compiles.
const CHECK: [&str; 4] = ["/grader", "exercise", "check", "--program"];

/// The program that a command of the book means in the machine, and its arguments.
///
/// # Errors
/// If it means none of the packed programs.
pub fn program(command: &[String]) -> Result<Vec<String>> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let packed;
    let day = words.get(3).map_or(String::new(), |name| format!("/days/{name}"));
    let is_day = |name: &str| ["day01", "day02", "day03", "day04"].contains(&name);
    let program = match words[..] {
        ["cargo", "run", "-p", name] if is_day(name) => [&TRACER[..], &[&day]].concat(),
        ["cargo", "run", "-p", name, "--", ref rest @ ..] if is_day(name) => {
            [&TRACER[..], &[&day], rest].concat()
        }
        ["cargo", "xtask", "run", ref rest @ ..] => [&TRACER[..], &RUN, rest].concat(),
        // These trace their programs themselves.
        ["cargo", "xtask", "atlas", ref rest @ ..] => [&ATLAS[..], rest].concat(),
        ["cargo", "xtask", "exercise", "check", ref rest @ .., name] => {
            packed = format!("/exercises/{name}");
            [&CHECK[..], &[&packed], rest, &[name]].concat()
        }
        _ => {
            return Err(Refusal {
                what: format!("`{}` cannot run in a booted kernel", words.join(" ")),
                why: "the machine has the days, the atlas and a learner's program, but neither Cargo \
                      nor a shell"
                    .to_string(),
                remedy: "cargo xtask kernels --on 6.1 -- cargo run -p day01, or -- cargo xtask \
                         run --day 3, or -- cargo xtask atlas nop"
                    .to_string(),
            }
            .into());
        }
    };
    Ok(program.into_iter().map(String::from).collect())
}

/// The exercise whose program in the workbook a command checks.
pub fn exercise(command: &[String]) -> Option<&str> {
    let is_check = command.starts_with(&["cargo", "xtask", "exercise", "check"].map(String::from));
    command.last().filter(|_| is_check).map(String::as_str)
}

/// Prints what the program printed, and writes its rings. Returns whether it succeeded.
pub fn tell(console: &Console, recording: Option<&Path>) -> Result<bool> {
    let mut succeeded = false;
    for message in &console.messages {
        match message {
            Message::Ran(ran) => {
                let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
                let printed = out.write_all(ran.stdout.as_bytes()).and_then(|()| out.flush());
                printed.context("writing to the standard output")?;
                // That path is the machine's.
                let stderr = ran.stderr.replace(&format!("wrote {RINGS}\n"), "");
                let _ = err.write_all(stderr.as_bytes());
                succeeded = ran.code == Some(0);
            }
            Message::Rings(rings) => {
                if let Some(file) = recording.filter(|_| !rings.is_empty()) {
                    let written = fs::write(file, rings);
                    written.with_context(|| format!("writing {}", file.display()))?;
                }
            }
            _ => {}
        }
    }
    Ok(succeeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_the_book_means_a_packed_program() {
        let tracer = TRACER.join(" ");
        for (typed, means) in [
            ("cargo run -p day01", format!("{tracer} /days/day01")),
            ("cargo run -p day02 -- --entries 8", format!("{tracer} /days/day02 --entries 8")),
            ("cargo xtask run --day 3", format!("{tracer} {} --day 3", RUN.join(" "))),
            (
                "cargo xtask exercise check --json one_enter",
                format!("{} /exercises/one_enter --json one_enter", CHECK.join(" ")),
            ),
            ("cargo xtask atlas nop", format!("{} nop", ATLAS.join(" "))),
        ] {
            let words: Vec<String> = typed.split(' ').map(String::from).collect();
            assert_eq!(program(&words).unwrap().join(" "), means);
        }
        for typed in ["cargo run -p day05", "cargo run -p day04 --example echo", "ls", ""] {
            let words: Vec<String> = typed.split(' ').map(String::from).collect();
            let refused = program(&words).unwrap_err().to_string();
            assert!(refused.contains("cannot run in a booted kernel"), "{refused}");
        }
    }
}
