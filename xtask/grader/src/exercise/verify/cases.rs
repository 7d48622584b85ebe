//! The programs to prove, and compiling them.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::exercise::compile::{Build, Built};
use crate::exercise::exercises::Exercise;
use crate::exercise::variants::{self, PASSED, Program};
use crate::exercise::workbook::{manifest_of, target, write_whole};
use toolbox::output::say;

/// The time limit for compiling all programs.
const COMPILE: Duration = Duration::from_secs(1800);

/// A program and the verdict that it must get.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) exercise: Exercise,
    /// Its name as a program, unique over all exercises.
    pub(super) program: String,
    pub(super) source: Program,
    /// `passed`, or an id's name.
    pub(super) expected: String,
    /// Words of a remark that it must get, if any.
    pub(super) remark: Option<String>,
}

pub(super) fn cases_of(exercise: &Exercise) -> Result<Vec<Case>> {
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

/// Compiles a learner's program in the same way.
///
/// # Errors
/// If it does not compile.
pub fn learners(
    exercise: &Exercise,
    source: &Path,
    workspace: &Path,
    target: &Path,
    env: Vec<(OsString, OsString)>,
) -> Result<PathBuf> {
    let case = Case {
        exercise: exercise.clone(),
        program: exercise.name.clone(),
        source: Program::File(source.to_owned()),
        expected: PASSED.to_string(),
        remark: None,
    };
    let built = compile(&[case], "learner", workspace, target, env)?;
    built.program(&exercise.name).map_err(|words| anyhow!("it does not compile:\n{words}"))
}

/// Makes one package with all of them, so that the shared crates are compiled once.
pub(super) fn compile(
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
pub(super) fn not_compiled(cases: &[Case], built: &Built) -> Vec<String> {
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

/// Prints progress. If printing fails here, it also fails at the last line, which returns the
/// error.
pub(super) fn tell(text: &str) {
    let _ = say(text);
}
