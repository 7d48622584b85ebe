//! Judges one program in a separate, isolated process that can be killed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::isolate::{self, Walls};
use super::libraries::Libraries;
use super::limits;
use super::row::{Cell, Mark};
use super::submission::printable;
use crate::exercise::check;
use crate::exercise::cost::Cost;
use crate::exercise::exercises::{About, Exercise};
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::others;
use crate::exercise::paint::Paint;
use crate::exercise::plan::Plan;
use crate::exercise::procedures::{Check, procedure};
use crate::exercise::verdict::Verdict;

/// The last resort: the limits of a program and its check's patience normally end it sooner.
const LONGEST: Duration = Duration::from_secs(600);

/// The most characters of a verdict's reason in a cell.
const SENTENCE: usize = 300;

/// Starts the judging processes. Several threads may use it at once.
#[derive(Debug)]
pub struct Judge {
    walls: Walls,
    libraries: Libraries,
}

/// The task of a judging process, on its standard input.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    /// The exercise.
    name: String,
    day: u32,
    about: About,
    /// Its check, if it is not a procedure of this tool.
    plan: Option<Plan>,
    /// The program.
    text: String,
    libraries: Libraries,
    /// How many tasks of its user belong to other processes.
    others: u64,
}

impl Judge {
    /// Finds out which isolation works on this machine, by judging a program of ours for this
    /// exercise.
    ///
    /// # Errors
    /// If no program can be compiled and run on this machine.
    pub fn new(workspace: &Path, exercise: &Exercise) -> Result<Judge> {
        let libraries = Libraries::build(workspace)?;
        let mut judge = Judge { walls: Walls::find(), libraries };
        if judge.walls.stand() {
            match judge.tries(exercise) {
                Ok(()) => return Ok(judge),
                Err(error) => {
                    let why = printable(&format!("{error:#}"));
                    judge.walls = Walls::none(why.trim_end_matches('.').to_string());
                }
            }
        }
        // With root each program has its own user, and a folder above Rust may be closed to that
        // user.
        judge.tries(exercise).with_context(|| {
            let why = judge.walls.lack().unwrap_or_default();
            format!("no program can be judged here: there are no walls ({why}), and without them")
        })?;
        Ok(judge)
    }

    /// Whether a program compiles and gets a verdict.
    fn tries(&self, exercise: &Exercise) -> Result<()> {
        let answer = self.ask(exercise, "fn main() {}")?;
        if answer["compiled"] == true {
            return Ok(());
        }
        let words = [&answer["compiler"], &answer["rule"]].into_iter().find_map(Value::as_str);
        bail!("{}", words.unwrap_or("it does not compile"));
    }

    /// Compiles, runs and judges a program.
    pub fn judge(&self, exercise: &Exercise, text: &str) -> Cell {
        let began = Instant::now();
        let answer = self.ask(exercise, text).unwrap_or_else(|_| {
            let rule = format!(
                "The judge ended without a verdict: a signal killed it, or it took more than {} s.",
                LONGEST.as_secs()
            );
            let failure = Failure::new(ids::LIMIT, "The program was compiled and run.").rule(rule);
            answer(exercise, &Verdict::Failed(failure))
        });
        let of = |part: &str| answer[part].as_str().unwrap_or_default().to_string();
        Cell {
            mark: match answer["verdict"].as_str() {
                Some("passed") => Mark::Passed,
                Some("not observed") => Mark::NotObserved,
                _ => Mark::Failed(answer["id"].as_str().unwrap_or(ids::LIMIT.name).to_string()),
            },
            sentence: of("sentence"),
            text: of("text"),
            took: began.elapsed(),
            first_try: None,
            cost: Cost::deserialize(&answer["cost"]).ok(),
            remarks: Vec::deserialize(&answer["remarks"]).unwrap_or_default(),
        }
    }

    fn ask(&self, exercise: &Exercise, text: &str) -> Result<Value> {
        let inside = self.walls.judge(&self.libraries)?;
        let task = Task {
            name: exercise.name.clone(),
            day: exercise.day,
            about: exercise.about.clone(),
            plan: exercise.check.plan().cloned(),
            text: text.to_string(),
            libraries: inside.libraries,
            others: isolate::others(),
        };
        let task = serde_json::to_vec(&task)?;
        let (stdin, asked) = pipe2(OFlag::O_CLOEXEC).context("a pipe")?;
        let mut command = inside.command;
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (given_up, wait) = mpsc::channel::<()>();
        // In a thread, because a pipe holds less than a long program. The pipe stays open while we
        // wait for the answer.
        thread::spawn(move || {
            let mut asked = File::from(asked);
            let _ = asked.write_all(&task).and_then(|()| asked.write_all(b"\n"));
            let _ = wait.recv();
        });
        let output = testkit::output_within(command, LONGEST);
        drop(given_up);
        let output = output?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| anyhow!("{}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Whether programs are behind walls.
    pub fn has_walls(&self) -> bool {
        self.walls.stand()
    }

    /// Describes the isolation of the programs.
    pub fn words(&self) -> String {
        self.walls.words()
    }
}

/// Whether a busy machine can cause a failure with this id, because a time limit ended a wait.
pub fn can_be_slowness(id: &str) -> bool {
    let waited = [
        ids::NO_LISTENER,
        ids::HANG_PUSHED,
        ids::HANG_WAIT,
        ids::HANG_NOT_REAPED,
        ids::HANG_IN_FLIGHT,
        ids::HANG_CALL,
        ids::SPIN,
        ids::HELD_UP,
        ids::DEADLINE,
        ids::NO_ANSWER,
        ids::RESET,
        ids::NOT_CLOSED,
        ids::STOP,
        ids::NEVER_ASLEEP,
    ];
    ids::by_name(id).is_some_and(|id| waited.contains(&id))
}

/// The judging process, started by `cargo xtask class`: isolates itself, judges the program from
/// its standard input, and prints the verdict.
pub fn main() -> ExitCode {
    match verdict() {
        Ok(answer) => print(&answer),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn verdict() -> Result<Value> {
    let mut task = String::new();
    io::stdin().read_line(&mut task).context("what to judge")?;
    let task: Task = serde_json::from_str(&task).context("what to judge")?;
    // The pipe ends when `class` no longer waits for the verdict, even if it was killed. Behind
    // walls this is the first process, and all others end with it.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        others::kill_all();
        std::process::exit(1);
    });
    isolate::shut_in(task.others);
    if std::process::id() == 1 || isolate::is_own_user() {
        others::are_programs();
    }
    let check = match task.plan {
        Some(plan) => Check::Plan(Arc::new(plan)),
        None => Check::Procedure(procedure(&task.name).context("no check for it")?),
    };
    let Task { name, day, about, .. } = task;
    let exercise = Exercise { name, day, about, folder: PathBuf::new(), check };
    let judged = exercise.clone();
    limits::watch(limits::CPU, limits::MEMORY, move |much| {
        let rule = format!("A program and all that it starts took {much}.");
        let failure = Failure::new(ids::LIMIT, "The program was compiled and run.").rule(rule);
        print(&answer(&judged, &Verdict::Failed(failure)));
    });
    let compiled = task.libraries.compile(&exercise.name, &task.text);
    let is_compiled = compiled.is_ok();
    let verdict = compiled.map_or_else(|why| why, |program| check::program(&exercise, &program));
    let mut answer = answer(&exercise, &verdict);
    answer["compiled"] = json!(is_compiled);
    Ok(answer)
}

/// A verdict, with one sentence for the table and the full text for its author.
fn answer(exercise: &Exercise, verdict: &Verdict) -> Value {
    let mut answer = verdict.json(exercise);
    answer["sentence"] = json!(begin_of(sentence(verdict), SENTENCE));
    answer["text"] = json!(verdict.text(exercise, Paint::default()));
    answer
}

fn sentence(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Passed(passed) => &passed.note,
        Verdict::Failed(failure) if failure.rule.is_empty() => failure.id.meaning(),
        Verdict::Failed(failure) => &failure.rule,
        Verdict::NotCompiled(words) => {
            words.lines().find(|line| line.starts_with("error")).unwrap_or(ids::COMPILE.meaning())
        }
    }
}

/// The first characters of a text. A cut text ends in `…`.
fn begin_of(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// Prints the answer and ends this process. A second answer waits for the lock and is never
/// printed.
fn print(answer: &Value) -> ! {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
    others::kill_all();
    std::process::exit(0);
}
