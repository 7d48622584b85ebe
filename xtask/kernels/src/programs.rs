//! The programs in the initramfs, built so that they need no other file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use grader::exercise::exercises;
use grader::exercise::folders::{self, day_folder};
use grader::exercise::verify;
use grader::exercise::workbook::Workbook;
use serde_json::Value;

use atlas_runner::EXAMPLES;

use super::answers;
use super::initramfs::Archive;
use super::inside::{ANSWERS, DAYS, EXERCISES, RECORDED};
use super::keep;
use super::one;
use super::options::Options;

/// The kernels are for this target, so the programs are built for it.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const NAMES: [&str; 4] = ["day01", "day02", "day03", "day04"];

/// The first process, the program that runs the days, the one that judges the exercises, the tracer.
const TOOLS: [&str; 4] = ["kernels", "xtask", "grader", "ringtrace"];

/// The package whose examples are the chapters' programs.
const ANSWERS_OF: &str = "day04";

/// The program that runs the atlas.
const ATLAS: &str = "atlas-runner";

/// Where everything that this command fetches and builds is kept: a folder of Cargo's target
/// directory, and the workspace in which Cargo was called.
pub struct Places {
    /// The workspace's folder.
    pub workspace: PathBuf,
    /// `target/kernels`.
    pub cache: PathBuf,
    /// The examples of day04 that ask for a chapter's answers.
    pub answers: Vec<String>,
}

/// Asks Cargo.
///
/// # Errors
/// If Cargo cannot be started, or answers nonsense.
pub fn places() -> Result<Places> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start Cargo, which builds the days for the kernels")?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("reading Cargo's answer")?;
    let folder = |key: &str| metadata[key].as_str().map(PathBuf::from);
    let workspace = folder("workspace_root").context("Cargo did not name the workspace")?;
    let target = folder("target_directory").context("Cargo did not name its target directory")?;
    let answers = asking_examples(&metadata);
    Ok(Places { workspace, cache: target.join("kernels"), answers })
}

/// The examples that ask for a chapter's answers. Their tests have the same names.
fn asking_examples(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let day = packages.filter(|package| package["name"] == ANSWERS_OF);
    let targets = day.filter_map(|package| package["targets"].as_array()).flatten();
    let examples = targets.filter(|target| target["kind"][0] == "example");
    let names = examples.filter_map(|target| target["name"].as_str());
    names.filter(|name| name.ends_with(answers::SUFFIX)).map(String::from).collect()
}

/// Builds the days and this tool statically and packs them, with the exercises if asked, and with
/// the command of `--on`.
///
/// # Errors
/// If one does not build.
pub fn initramfs(places: &Places, options: &Options, command: &[String]) -> Result<Vec<u8>> {
    let folder = build(places, options)?;
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).with_context(|| format!("reading {}", path.display()))
    };
    let days = DAYS.trim_start_matches('/');
    let mut archive = Archive::default();
    archive.directory(days);
    for name in NAMES {
        archive.program(&format!("{days}/{name}"), &read(name)?);
    }
    for name in TOOLS {
        archive.program(name, &read(name)?);
    }
    if options.atlas() {
        archive.program(ATLAS, &read("atlas_runner")?);
        for (_, example) in EXAMPLES {
            let bytes = read(&format!("examples/{example}"))?;
            archive.program(&format!("{days}/{example}"), &bytes);
        }
        if options.record {
            let names = keep::left_out_here(&places.workspace)?.join("\n");
            archive.file(RECORDED.trim_start_matches('/'), names.as_bytes());
        }
    }
    if options.answers {
        archive.directory(ANSWERS.trim_start_matches('/'));
        for program in answers_programs(places) {
            let bytes =
                fs::read(&program).with_context(|| format!("reading {}", program.display()))?;
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            archive.program(&format!("{}/{name}", ANSWERS.trim_start_matches('/')), &bytes);
        }
    }
    if !command.is_empty() {
        archive.file(one::COMMAND.trim_start_matches('/'), command.join("\n").as_bytes());
    }
    let learner = one::exercise(&options.command);
    if options.exercises || learner.is_some() {
        add_exercises(&mut archive, places, learner)?;
    }
    Ok(archive.finish())
}

/// The exercises' folders, and their starters and solutions compiled, or the learner's program for
/// one of them.
fn add_exercises(archive: &mut Archive, places: &Places, learner: Option<&str>) -> Result<()> {
    let all = folders::load(&places.workspace)?;
    for day in NAMES {
        archive.directory(day);
        archive.directory(&format!("{day}/exercises"));
    }
    archive.directory("day04/beyond");
    archive.directory("day04/beyond/exercises");
    for exercise in &all {
        let folder = format!("{}/{}", day_folder(exercise.day), exercise.name);
        add_folder(archive, &exercise.folder, &folder)?;
    }
    let env = [FLAGS, STRIP, ("CARGO_BUILD_TARGET", TARGET)]
        .map(|(name, value)| (name.into(), value.into()));
    let directory = places.cache.join("exercises");
    let (workspace, env) = (&places.workspace, env.to_vec());
    let programs = match learner {
        None => verify::starters_and_solutions(&all, workspace, &directory, env)?,
        Some(name) => {
            let source = Workbook::of(workspace).program(name);
            let exercise = exercises::find(&all, name)?;
            let program = verify::learners(exercise, &source, workspace, &directory, env)?;
            vec![(name.to_string(), program)]
        }
    };
    let folder = EXERCISES.trim_start_matches('/');
    archive.directory(folder);
    for (name, path) in programs {
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        archive.program(&format!("{folder}/{name}"), &bytes);
    }
    Ok(())
}

/// A folder with all that is in it.
fn add_folder(archive: &mut Archive, from: &Path, to: &str) -> Result<()> {
    archive.directory(to);
    let entries = fs::read_dir(from).with_context(|| format!("reading {}", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = format!("{to}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            add_folder(archive, &path, &name)?;
        } else {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            archive.file(&name, &bytes);
        }
    }
    Ok(())
}

/// The C library is linked into the programs: the initramfs has none. An explicit target keeps
/// these flags from the procedural macros, which cannot be built with them.
const FLAGS: (&str, &str) = ("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");

/// Small programs load faster in an emulator.
const STRIP: (&str, &str) = ("CARGO_PROFILE_DEV_STRIP", "symbols");

/// Builds into a separate target directory: the flags differ, and a shared directory would be
/// rebuilt each time.
fn build(places: &Places, options: &Options) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--target", TARGET]);
    cargo.args(NAMES.iter().chain(&TOOLS).flat_map(|name| ["--package", name]));
    if options.atlas() {
        cargo.args(["--package", ATLAS]);
        cargo.args(EXAMPLES.iter().flat_map(|(_, example)| ["--example", example]));
    }
    if options.answers {
        cargo.args(places.answers.iter().flat_map(|example| ["--example", example]));
    }
    if options.atlas() || options.answers {
        // With examples named, nothing else is built unless it is named, too.
        cargo.arg("--bins");
    }
    let status = cargo
        .arg("--manifest-path")
        .arg(places.workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(places.cache.join("build"))
        .env(FLAGS.0, FLAGS.1)
        .env(STRIP.0, STRIP.1)
        .stdin(Stdio::null())
        .status()
        .context("cannot start Cargo, which builds the days for the kernels")?;
    if !status.success() {
        bail!(
            "the days do not build statically for {TARGET} (Cargo's words stand above; if the \
             target is missing: rustup target add {TARGET}; if libc.a is: install libc6-dev)"
        );
    }
    Ok(built(places))
}

/// Where Cargo puts what it builds for the target.
fn built(places: &Places) -> PathBuf {
    places.cache.join("build").join(TARGET).join("debug")
}

/// The programs that ask for the chapters' answers, once they are built.
pub fn answers_programs(places: &Places) -> Vec<PathBuf> {
    let folder = built(places).join("examples");
    places.answers.iter().map(|name| folder.join(name)).collect()
}

fn cargo() -> Command {
    let mut cargo = toolbox::cargo::command();
    testkit::die_with_parent(&mut cargo);
    cargo
}

/// Where the initramfs is written for the emulator.
pub fn initramfs_path(cache: &Path) -> PathBuf {
    cache.join("initramfs.cpio")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_example_is_named_once_though_its_test_has_its_name() {
        let target = |name: &str, kind: &str| json!({ "name": name, "kind": [kind] });
        let targets = [
            target("file_answers", "example"),
            target("tree_sum", "example"),
            target("file_answers", "test"),
            target("link_answers", "test"),
        ];
        let metadata = json!({ "packages": [{ "name": ANSWERS_OF, "targets": targets }] });
        assert_eq!(asking_examples(&metadata), ["file_answers"]);
    }
}
