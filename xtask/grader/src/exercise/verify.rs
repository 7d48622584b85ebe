//! Proves the exercises: every starter fails with the stated id, every solution and other right
//! answer passes, and every wrong answer fails with its stated id.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use common::text::several;
use serde::{Deserialize, Serialize};

use super::check;
use super::compile::{Build, Built};
use super::cost::Cost;
use super::exercises::{self, Exercise};
use super::folders::Folders;
use super::ids;
use super::new;
use super::paint::Paint;
use super::variants::{self, PASSED, Program};
use super::verdict::Verdict;
use super::workbook::{manifest_of, target, write_whole};
use toolbox::output::say;

/// What to prove, by the options.
#[derive(Args, Debug)]
pub struct Options {
    /// The exercises. Without names, all of them
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// How often each program is checked
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Checks at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,

    /// How often a program that is not as stated is checked again, alone, because a busy machine
    /// can disturb a check
    #[arg(long, value_name = "N", default_value_t = 0)]
    again: u32,

    /// Print every verdict, not only those that are not as stated
    #[arg(long)]
    show: bool,

    /// Use the compiled programs in this folder, and leave out those that are missing there
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,

    /// Print one JSON object at the end, and nothing else
    #[arg(long, hide = true, requires = "programs")]
    json: bool,
}

/// The result of one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// `first_nop--solution`.
    pub program: String,
    /// The id it must get, or `passed`.
    pub expected: String,
    /// The id it got, or `passed`.
    pub got: String,
    /// Why it could not be observed, or the verdict if it differs from the expected one.
    pub words: Option<String>,
}

/// The output of `--json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proofs {
    /// In the order in which they were checked.
    pub exercises: Vec<Proof>,
}

/// The time limit for compiling all programs.
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
    /// Words of a remark that it must get, if any.
    remark: Option<String>,
}

/// Proves the exercises. Returns whether all was as stated.
///
/// # Errors
/// If an exercise's files are wrong, or nothing can be compiled.
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
        let lacks = new::lacks(exercise, workspace)?;
        if !lacks.is_empty() {
            say(&format!("{} is not finished:\n  {}", exercise.name, lacks.join("\n  ")))?;
            lacking.push(exercise.name.as_str());
        }
    }
    if let Some(folder) = &options.programs {
        return compiled(&cases, folder, options);
    }
    // Some exercises get another package, so that the one for all is not compiled again.
    let package = if options.names.is_empty() { "all" } else { "some" };
    let exercises = several(picked.len(), "exercise");
    say(&format!("compiling {} programs of {exercises}", cases.len()))?;
    let target = target(workspace).join("workbook");
    let built = compile(&cases, package, workspace, &target, Vec::new())?;
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
    let mut line = format!("{exercises}, {count} programs, {} checks: ", jobs.len());
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

/// Prints progress. If printing fails here, it also fails at the last line, which returns the
/// error.
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

/// Checks compiled programs, one after the other.
fn compiled(cases: &[Case], folder: &Path, options: &Options) -> Result<bool> {
    let mut proofs = Vec::new();
    for case in cases {
        let program = folder.join(&case.program);
        if !program.is_file() {
            continue;
        }
        let mut proof = prove(case, &program);
        for _ in 0..options.again {
            if proof.got != case.expected && proof.got != ids::NOT_OBSERVED.name {
                proof = prove(case, &program);
            }
        }
        proofs.push(proof);
    }
    let right = proofs.iter().all(|proof| proof.got == proof.expected);
    let proofs = Proofs { exercises: proofs };
    if options.json {
        say(&serde_json::to_string(&proofs).context("writing JSON")?)?;
    } else {
        for Proof { program, expected, got, .. } in &proofs.exercises {
            say(&format!("{program}: {got}, expected {expected}"))?;
        }
    }
    Ok(right)
}

fn prove(case: &Case, program: &Path) -> Proof {
    let verdict = check::program(&case.exercise, program);
    let words = match &verdict {
        Verdict::Failed(failure) if failure.is_not_observed() => Some(failure.rule.clone()),
        _ if verdict.id() == case.expected => None,
        _ => Some(verdict.text(&case.exercise, Paint::for_stdout())),
    };
    Proof {
        program: case.program.clone(),
        expected: case.expected.clone(),
        got: verdict.id().to_string(),
        words,
    }
}

/// Compiles the starters and solutions into `target`, with these variables for Cargo.
///
/// # Errors
/// If they do not compile.
pub fn starters_and_solutions(
    all: &[Exercise],
    workspace: &Path,
    target: &Path,
    env: Vec<(OsString, OsString)>,
) -> Result<Vec<(String, PathBuf)>> {
    let mut cases = Vec::new();
    for exercise in all {
        cases.extend(cases_of(exercise)?.into_iter().take(2));
    }
    let built = compile(&cases, "kernels", workspace, target, env)?;
    let program = |case: &Case| match built.program(&case.program) {
        Ok(path) => Ok((case.program.clone(), path)),
        Err(words) => bail!("{} does not compile: {words}", case.program),
    };
    cases.iter().map(program).collect()
}

/// Makes one package with all of them, so that the shared crates are compiled once.
fn compile(
    cases: &[Case],
    package: &str,
    workspace: &Path,
    directory: &Path,
    env: Vec<(OsString, OsString)>,
) -> Result<Built> {
    let folder = target(workspace).join("verify").join(package);
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
    let build = Build {
        manifest: &path,
        target: directory,
        program: None,
        within: COMPILE,
        env: [vec![("CARGO_INCREMENTAL".into(), "0".into())], env].concat(),
    };
    build.run()
}

/// Writes a file, unless it already has this text, so that Cargo compiles nothing again.
fn write_changed(path: &Path, text: &str) -> Result<()> {
    match fs::read_to_string(path) {
        Ok(old) if old == text => Ok(()),
        _ => write_whole(path, text.as_bytes()),
    }
}

/// Fails unless starters and solutions compile without a warning, and wrong answers compile.
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

/// Checks them, several at a time. Returns the names of those that were not as stated.
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

/// Checks a program that was not as stated again, alone. Returns whether it is as stated now.
fn good_at_last(program: &str, cases: &[Case], built: &Built, options: &Options) -> bool {
    let Some(case) = cases.iter().find(|case| case.program == program) else { return false };
    let Ok(path) = built.program(program) else { return false };
    (0..options.again).any(|_| one(case, &path, options.show))
}

/// A wrong par of an exercise, by its solution's verdict.
fn off_par(case: &Case, verdict: &Verdict) -> Option<String> {
    let is_solution = case.program.ends_with("--solution") && verdict.passed();
    let par = case.exercise.about.par.as_ref().filter(|_| is_solution)?;
    let per = &par.per;
    let Some(cost) = verdict.cost() else {
        return Some(format!("the par is per {per}, and the check measures no {per}"));
    };
    let Cost { enters, entries } = cost;
    (!par.is_met(cost)).then(|| {
        format!(
            "the solution takes {} per {per}: its par is `enters = {enters}, entries = {entries}`",
            cost.words()
        )
    })
}

/// A remark on a passing program that was not expected, or an expected one that is missing.
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
    // A program that cannot be observed on this machine is neither proven nor refuted.
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
        match case.program.rsplit_once("--") {
            Some((_, "solution")) => {}
            Some((_, "starter")) => text.push_str(", by the `starter` of exercise.toml"),
            _ => text.push_str(", by its `expect` in variants.toml"),
        }
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
