//! One program, judged in a process of its own that can be shut in and killed.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use common::drive;
use common::text::{WIDTH, wrap};
use serde_json::{Value, json};

use super::isolate::{self, Isolation};
use super::table::Mark;
use crate::exercise::check;
use crate::exercise::exercises::{self, Exercise};
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::verdict::{Paint, Verdict};
use crate::programs::workspace;

/// No check takes longer.
const LONGEST: Duration = Duration::from_secs(240);

/// Starts the processes, and remembers what they could be shut off from.
#[derive(Debug)]
pub struct Judge {
    workspace: PathBuf,
    /// Where programs may write.
    folder: PathBuf,
    processes: bool,
    isolation: Option<Isolation>,
}

impl Judge {
    /// With a folder for what the programs write.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(workspace: &Path) -> Result<Judge> {
        let folder = std::env::temp_dir().join(format!("class.{}", std::process::id()));
        // Not one that is there already: it could be somebody else's.
        fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        // A run may be another user's.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))
            .with_context(|| format!("opening {}", folder.display()))?;
        let workspace = workspace.to_path_buf();
        Ok(Judge { workspace, folder, processes: true, isolation: None })
    }

    /// Runs and judges a program: its mark, and the verdict as its author would read it.
    pub fn judge(&mut self, exercise: &Exercise, program: &Path) -> (Mark, String) {
        match self.ask(exercise, program) {
            Ok(answer) => {
                let text = answer["text"].as_str().unwrap_or_default().to_string();
                (self.mark(&answer), text)
            }
            Err(_) => {
                let failure = Failure::new(ids::LIMIT, "");
                let verdict = Verdict::Failed(failure).text(exercise, Paint::default());
                (Mark::Failed(ids::LIMIT.name.to_string()), verdict)
            }
        }
    }

    fn ask(&mut self, exercise: &Exercise, program: &Path) -> Result<Value> {
        loop {
            let mut command = Command::new(std::env::current_exe().context("this program")?);
            command.args(["exercise", "judge", &exercise.name]).arg(program).arg(&self.folder);
            if self.processes {
                command.arg("--processes");
            }
            command.env("CARGO_MANIFEST_DIR", self.workspace.join("xtask"));
            command.env("TMPDIR", &self.folder).stdin(Stdio::null()).stderr(Stdio::null());
            command.stdout(Stdio::piped());
            command.process_group(0);
            let output = drive::output_within(command, LONGEST)?;
            if output.status.code() == Some(isolate::NO_PROCESSES) && self.processes {
                self.processes = false;
                continue;
            }
            return serde_json::from_slice(&output.stdout).context("no verdict");
        }
    }

    fn mark(&mut self, answer: &Value) -> Mark {
        if let Ok(isolation) = serde_json::from_value(answer["isolation"].clone()) {
            self.isolation = Some(isolation);
        }
        let id = answer["id"].as_str().unwrap_or(ids::LIMIT.name);
        match answer["verdict"].as_str() {
            Some("passed") => Mark::Passed,
            Some("not observed") => Mark::NotObserved,
            _ => Mark::Failed(id.to_string()),
        }
    }

    /// What the programs were shut off from, in words.
    pub fn words(&self) -> String {
        let Some(isolation) = &self.isolation else { return String::new() };
        let mut had = vec!["limits on time, memory, processes and file size"];
        for (given, what) in [
            (isolation.network, "no network but loopback"),
            (isolation.files, "all files read-only"),
            (isolation.processes, "no sight of other processes"),
        ] {
            if given {
                had.push(what);
            }
        }
        let mut words = format!("Each program ran with {}.\n", had.join(", "));
        if !isolation.refused.is_empty() {
            words.push_str(&format!("Not allowed here: {}.\n", isolation.refused.join("; ")));
        }
        wrap(&words, WIDTH, 0) + "\n"
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The process in which a program is judged; started by `cargo xtask class`.
#[derive(Args, Debug)]
pub struct Options {
    /// The exercise
    name: String,
    /// The program, compiled
    program: PathBuf,
    /// Where it may write
    folder: PathBuf,
    /// With process numbers of its own
    #[arg(long)]
    processes: bool,
}

/// Shuts itself in, judges, and prints the verdict.
pub fn main(options: &Options) -> ExitCode {
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    match run(options) {
        Ok(answer) => {
            let _ = writeln!(io::stdout(), "{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Value> {
    // All that is read of the workspace is read before it is out of reach.
    let all = exercises::load(&workspace())?;
    let exercise = exercises::find(&all, &options.name)?;
    let program = fs::read(&options.program).context("reading the program")?;
    let isolation = isolate::shut_in(&options.folder, options.processes);
    let copy = options.folder.join(&options.name);
    let _ = fs::remove_file(&copy);
    fs::write(&copy, program).context("copying the program")?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).context("its permissions")?;
    let verdict = check::program(exercise, &copy);
    let mut answer = verdict.json(exercise);
    answer["text"] = json!(verdict.text(exercise, Paint::default()));
    let _ = fs::remove_file(&copy);
    answer["isolation"] = json!(isolation);
    Ok(answer)
}
