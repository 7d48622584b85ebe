//! Proving the exercises: every starter fails with the id that it states, every solution
//! passes, in whatever way it is written, every wrong answer fails with its own id.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use common::text::several;

use super::check;
use super::compile::{Build, Built};
use super::cost::Cost;
use super::exercises::{self, Exercise};
use super::folders::Folders;
use super::new;
use super::variants::{self, PASSED, Program};
use super::verdict::{Paint, Verdict};
use super::workbook::{manifest_of, target, write_whole};
use crate::output::say;

/// What to prove.
#[derive(Args, Debug)]
pub struct Options {
    /// The exercises; all, if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// How often each program is checked
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Checks at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,

    /// How often a program that is not as stated is checked again, alone: a machine that is
    /// busy with other things can upset a check
    #[arg(long, value_name = "N", default_value_t = 0)]
    again: u32,

    /// Print every verdict, not only those that are not as stated
    #[arg(long)]
    show: bool,
}

/// All programs compile within this time, or Cargo hangs.
const COMPILE: Duration = Duration::from_secs(1800);

/// A program and the verdict that it must get.
#[derive(Clone)]
struct Case {
    exercise: Exercise,
    /// Its name as a program, unique over all exercises.
    program: String,
    source: Program,
    /// `passed`, or an id's name.
    expected: String,
    /// Words of a remark that it must get.
    remark: Option<String>,
}

/// Proves them; whether all was as stated.
///
/// # Errors
/// If an exercise's files are not as they should be, or nothing can be compiled.
pub fn main(
    options: &Options,
    all: &[Exercise],
    folders: &Folders,
    workspace: &Path,
) -> Result<bool> {
    let began = Instant::now();
    let picked = exercises::pick(all, &options.names)?;
    let (_, unfinished) = folders.look(workspace)?;
    if options.names.is_empty() && !unfinished.is_empty() {
        bail!("{} cannot be proved", several(unfinished.len(), "unfinished exercise"));
    }
    let (mut cases, mut lacking) = (Vec::new(), Vec::new());
    for exercise in &picked {
        cases.extend(cases_of(exercise)?);
        let lacks = new::lacks(exercise)?;
        if !lacks.is_empty() {
            say(&format!("{} is not finished:\n  {}", exercise.name, lacks.join("\n  ")))?;
            lacking.push(exercise.name.as_str());
        }
    }
    let built = compile(&cases, &picked, &options.names, workspace)?;
    let compiled = began.elapsed();
    let mut bad = not_compiled(&cases, &built);
    let jobs: Vec<&Case> = (0..options.runs)
        .flat_map(|_| &cases)
        .filter(|case| !bad.contains(&case.program))
        .collect();
    let first = check_all(&jobs, &built, options);
    let stays = |program: &String| !good_at_last(program, &cases, &built, options);
    let (wrong, wavered): (Vec<String>, Vec<String>) = first.into_iter().partition(stays);
    bad.extend(wrong);
    let count = cases.len();
    let mut line = format!("{} exercises, {count} programs, {} checks: ", picked.len(), jobs.len());
    if bad.is_empty() {
        let _ = write!(line, "all as stated");
    } else {
        let _ = write!(line, "{} not as stated: {}", bad.len(), bad.join(", "));
    }
    if !wavered.is_empty() {
        let _ = write!(line, ", {} not at the first try: {}", wavered.len(), wavered.join(", "));
    }
    if !lacking.is_empty() {
        let _ = write!(line, "; not finished: {}", lacking.join(", "));
    }
    let checked = began.elapsed() - compiled;
    let _ = write!(
        line,
        " ({:.0} s to compile, {:.0} s to check)",
        compiled.as_secs_f64(),
        checked.as_secs_f64()
    );
    say(&line)?;
    Ok(bad.is_empty() && lacking.is_empty())
}

/// Prints on the way. What fails here fails at the last line too, which says so.
fn tell(text: &str) {
    let _ = say(text);
}

fn cases_of(exercise: &Exercise) -> Result<Vec<Case>> {
    let name = &exercise.name;
    let case = |kind: &str, source: Program, expected: &str| Case {
        exercise: exercise.clone(),
        program: format!("{name}--{kind}"),
        source,
        expected: expected.to_string(),
        remark: None,
    };
    let starts = &exercise.about.starter;
    let mut cases = vec![
        case("starter", Program::File(exercise.starter()), starts),
        case("solution", Program::File(exercise.solution()), PASSED),
    ];
    for variant in variants::of(exercise)? {
        let case = case(&variant.name, variant.program, &variant.expect);
        cases.push(Case { remark: variant.remark, ..case });
    }
    Ok(cases)
}

/// One package with all of them as programs, so that what they share is compiled once.
fn compile(
    cases: &[Case],
    picked: &[Exercise],
    names: &[String],
    workspace: &Path,
) -> Result<Built> {
    let target = target(workspace);
    // A package of its own for some, so that it does not undo the one for all.
    let folder = target.join(if names.is_empty() { "verify/all" } else { "verify/some" });
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let common = workspace.join("common").canonicalize().context("the folder of `common`")?;
    let mut manifest = manifest_of(workspace, "verify", &common.display().to_string())?;
    manifest = manifest.replace("publish = false\n", "publish = false\nautobins = false\n");
    manifest = manifest.replace("debug = \"line-tables-only\"", "debug = false");
    for case in cases {
        let program = &case.program;
        let path = match &case.source {
            Program::File(path) => path.canonicalize()?,
            Program::Edited { after, .. } => {
                let path = folder.join(format!("{program}.rs"));
                write_changed(&path, after)?;
                path
            }
        };
        let path = path.display();
        let _ = write!(manifest, "\n[[bin]]\nname = \"{program}\"\npath = \"{path}\"\n");
    }
    let path = folder.join("Cargo.toml");
    write_changed(&path, &manifest)?;
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).context("Cargo.lock")?;
    say(&format!("compiling {} programs of {} exercises", cases.len(), picked.len()))?;
    let build = Build {
        manifest: &path,
        target: &target.join("workbook"),
        program: None,
        within: COMPILE,
        env: vec![("CARGO_INCREMENTAL".into(), "0".into())],
    };
    build.run()
}

/// Leaves a file that has this text as it is, so that Cargo compiles nothing again.
fn write_changed(path: &Path, text: &str) -> Result<()> {
    match fs::read_to_string(path) {
        Ok(old) if old == text => Ok(()),
        _ => write_whole(path, text.as_bytes()),
    }
}

/// Starters and solutions compile without a warning, wrong answers compile.
fn not_compiled(cases: &[Case], built: &Built) -> Vec<String> {
    let mut bad = Vec::new();
    for case in cases {
        if let Err(words) = built.program(&case.program) {
            tell(&format!("{words}\n{} does not compile", case.program));
            bad.push(case.program.clone());
            continue;
        }
        let shown = case.program.ends_with("--starter") || case.program.ends_with("--solution");
        if let Some(words) = built.warnings.get(&case.program).filter(|_| shown) {
            tell(&format!("{words}\n{} compiles with a warning", case.program));
            bad.push(case.program.clone());
        }
    }
    bad
}

/// Checks them, some at a time; the names of those that were not as stated.
fn check_all(jobs: &[&Case], built: &Built, options: &Options) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let bad = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while let Some(case) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Ok(program) = built.program(&case.program) else { continue };
                    if !one(case, &program, options.show) {
                        let mut bad = bad.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        bad.push(case.program.clone());
                    }
                }
            });
        }
    });
    let mut bad = bad.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    bad.sort();
    bad.dedup();
    bad
}

/// Checks a program that was not as stated again, by itself; whether it is now.
fn good_at_last(program: &str, cases: &[Case], built: &Built, options: &Options) -> bool {
    let Some(case) = cases.iter().find(|case| case.program == program) else { return false };
    let Ok(path) = built.program(program) else { return false };
    (0..options.again).any(|_| one(case, &path, options.show))
}

/// What is wrong with the par of an exercise, by its solution's verdict.
fn off_par(case: &Case, verdict: &Verdict) -> Option<String> {
    let is_solution = case.program.ends_with("--solution") && verdict.passed();
    let par = case.exercise.about.par.as_ref().filter(|_| is_solution)?;
    let per = &par.per;
    let Some(cost) = verdict.cost() else {
        return Some(format!("the par is per {per}, and the check measures no {per}"));
    };
    let Cost { enters, entries } = cost;
    (par.cost() != cost).then(|| {
        format!(
            "the solution takes {} per {per}: its par is `enters = {enters}, entries = {entries}`",
            cost.words()
        )
    })
}

/// A remark on a program that passes which is not stated, or the other way round.
fn off_remark(case: &Case, verdict: &Verdict) -> Option<String> {
    let remarks = verdict.remarks();
    match &case.remark {
        _ if !verdict.passed() => None,
        None if remarks.is_empty() => None,
        None => Some("no remark is expected".to_string()),
        Some(words) if remarks.iter().any(|remark| remark.contains(words)) => None,
        Some(words) => Some(format!("a remark must say: {words}")),
    }
}

/// Whether one program got the verdict that it must get.
fn one(case: &Case, program: &Path, show: bool) -> bool {
    let began = Instant::now();
    let verdict = check::program(&case.exercise, program);
    let got = verdict.id();
    // What cannot be seen here is neither proven nor refuted.
    let unseen = matches!(&verdict, Verdict::Failed(failure) if failure.is_not_observed());
    let off = off_par(case, &verdict).or_else(|| off_remark(case, &verdict));
    let good = (got == case.expected || unseen) && off.is_none();
    let mark = match (good, unseen) {
        (_, true) => "unseen",
        (true, false) => "ok",
        (false, _) => "WRONG",
    };
    let mut text = format!(
        "{mark:<7} {:<44} {:<22} {:>5.1} s",
        case.program.replace("--", " "),
        got,
        began.elapsed().as_secs_f64()
    );
    if got != case.expected && !unseen {
        let _ = write!(text, "\n        it must get {}", case.expected);
    }
    if let Some(off) = off {
        let _ = write!(text, "\n        {off}");
    }
    if !good || unseen || show {
        let _ = write!(text, "\n{}", verdict.text(&case.exercise, Paint::for_stdout()));
    }
    tell(&text);
    good
}
