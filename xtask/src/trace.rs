//! `cargo xtask trace`: the tracer, on a day or on any other program.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use common::environment::Refusal;

use toolbox::programs::{self, Source};

use crate::tool;

#[path = "../trace/src/options.rs"]
mod options;

pub use options::Options;

/// Builds the day that is named, if any, and traces the program, or joins a running one.
pub fn main(options: &Options) -> ExitCode {
    // The arguments after `xtask trace`; the program's own begin at its name.
    let mut words: Vec<OsString> = std::env::args_os().skip(2).collect();
    let running = options.attach.map(|process| format!("/proc/{process}/exe"));
    if running.is_some_and(|program| is_ours(Path::new(&program))) {
        words.insert(0, "--tokens".into());
    }
    if let Some(named) = options.command.first() {
        let (program, ours) = match resolve(named.clone()) {
            Ok(found) => found,
            Err(refusal) => {
                eprintln!("{refusal}");
                return ExitCode::FAILURE;
            }
        };
        let place = words.len() - options.command.len();
        words[place] = program;
        if ours {
            words.insert(0, "--tokens".into());
        }
    }
    tool::run("ringtrace", words)
}

/// The program to run, and whether its `user_data` is `common::token`'s.
fn resolve(named: OsString) -> Result<(OsString, bool), Refusal> {
    const DAYS: [&str; 4] = ["day01", "day02", "day03", "day04"];
    let Some(day) = DAYS.into_iter().find(|day| named == *day) else {
        let ours = is_ours(Path::new(&named));
        return Ok((named, ours));
    };
    let built = programs::find(&Source::Build { release: false, quiet: true }, &[day]);
    if let Some(path) = built.ok().and_then(|mut programs| programs.remove(day)) {
        return Ok((path.into_os_string(), true));
    }
    // Cargo is missing, or may not build: perhaps the program lies beside this one.
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join(day)));
    match beside.filter(|path| path.is_file()) {
        Some(path) => Ok((path.into_os_string(), true)),
        None => Err(Refusal {
            what: format!("{day} could not be built"),
            why: "Cargo's errors stand above".to_string(),
            remedy: format!("`cargo build -p {day}` by itself"),
        }),
    }
}

/// Whether a program was built in this workspace, beside this tool.
fn is_ours(program: &Path) -> bool {
    let folder = |path: &Path| Some(path.canonicalize().ok()?.parent()?.to_path_buf());
    let here = std::env::current_exe().ok().and_then(|path| folder(&path));
    here.is_some() && here == folder(program)
}
