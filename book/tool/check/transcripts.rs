//! Runs the transcripts and compares.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::catalog::Kernel;
use common::environment;

use super::{files, ring};
use crate::output;
use crate::paths::name;
use crate::problem::Problem;
use crate::transcript::{self, Transcript};

/// What is wrong with the transcripts of the book; `None` if they cannot run here.
pub fn problems(root: &Path) -> Option<Vec<Problem>> {
    let (transcripts, mut problems) = read(root);
    match ring::available("the book's transcripts") {
        Ok(true) => {}
        Ok(false) if problems.is_empty() => return None,
        Ok(false) => return Some(problems),
        Err(problem) => {
            problems.push(problem);
            return Some(problems);
        }
    }
    if let Err(problem) = prepare(root, transcripts.iter().map(|(_, transcript)| transcript)) {
        problems.push(problem);
        return Some(problems);
    }
    for (file, transcript) in &transcripts {
        problems.extend(compare(root, file, transcript));
    }
    Some(problems)
}

/// Lets Cargo build what the transcripts run, so that none of them waits for a compiler.
fn prepare<'t>(
    root: &Path,
    transcripts: impl Iterator<Item = &'t Transcript>,
) -> Result<(), Problem> {
    let texts: Vec<&str> = transcripts
        .flat_map(|transcript| &transcript.commands)
        .map(|command| command.text.as_str())
        .filter(|text| text.contains("cargo "))
        .collect();
    if texts.is_empty() {
        return Ok(());
    }
    let examples = texts.iter().any(|text| text.contains("--example"));
    transcript::run::prepare(root, examples)
        .map_err(|wrong| Problem::of("book/transcripts", wrong.what, wrong.remedy))
}

/// The transcripts of the book, and the files that cannot be read.
fn read(root: &Path) -> (Vec<(String, Transcript)>, Vec<Problem>) {
    let (mut transcripts, mut problems) = (Vec::new(), Vec::new());
    let text_file = |path: &Path| path.extension().is_some_and(|it| it == "txt");
    for path in files::below(&root.join("book/transcripts"), &text_file) {
        let file = name(root, &path);
        let parsed = fs::read_to_string(&path).map_err(|wrong| {
            Problem::of(&file, format!("cannot be read: {wrong}"), "it has to be UTF-8 text")
        });
        let parsed = parsed.and_then(|text| {
            Transcript::parse(&text).map_err(|(line, wrong)| wrong.at(&file, line))
        });
        match parsed {
            Ok(transcript) => transcripts.push((file, transcript)),
            Err(problem) => problems.push(problem),
        }
    }
    (transcripts, problems)
}

/// What differs between a transcript and a run of it.
fn compare(root: &Path, file: &str, transcript: &Transcript) -> Vec<Problem> {
    let here = Kernel::parse(&environment::kernel_release());
    let too_old = transcript.needs.filter(|needs| here.is_some_and(|here| here < *needs));
    if let Some(needs) = too_old {
        output::aside(&format!("SKIPPED {file}: it needs Linux {needs}"));
        return Vec::new();
    }
    let start = Instant::now();
    let outputs = match transcript::run::run(root, transcript) {
        Ok(outputs) => outputs,
        Err((line, wrong)) => return vec![wrong.at(file, line)],
    };
    output::line(&format!("  {file} ({:.1} s)", start.elapsed().as_secs_f32()));
    let stem = PathBuf::from(file).file_stem().unwrap_or_default().display().to_string();
    let both = transcript.commands.iter().zip(&outputs);
    both.filter_map(|(command, output)| {
        let difference = transcript::compare::difference(&command.expected, output)?;
        let what = format!("a run of `{}` prints something else", command.text);
        let remedy = format!(
            "- in the transcript, + printed:\n{difference}if the run is right: cargo xtask book \
             record {stem}"
        );
        Some(Problem::at(file, command.line, what, remedy))
    })
    .collect()
}

/// Runs the transcripts with these names and writes the output into their files.
pub fn record(root: &Path, names: &[String]) -> Vec<Problem> {
    let (transcripts, mut problems) = read(root);
    let known: BTreeSet<String> = transcripts.iter().map(|(file, _)| stem(file)).collect();
    for name in names.iter().filter(|name| !known.contains(*name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        problems.push(Problem::of(
            format!("book/transcripts/{name}.txt"),
            "there is no such transcript",
            format!("write its `$ ` lines first\nthere are: {}", known.join(", ")),
        ));
    }
    match ring::available("recording") {
        Ok(true) if problems.is_empty() => {}
        Ok(_) => return problems,
        Err(problem) => return vec![problem],
    }
    let wanted: Vec<_> =
        transcripts.iter().filter(|(file, _)| names.contains(&stem(file))).collect();
    if let Err(problem) = prepare(root, wanted.iter().map(|(_, transcript)| transcript)) {
        return vec![problem];
    }
    for (file, transcript) in wanted {
        match transcript::run::run(root, transcript) {
            Ok(outputs) => {
                let path = root.join(file);
                let old = fs::read_to_string(&path).unwrap_or_default();
                match fs::write(&path, transcript.with_outputs(&old, &outputs)) {
                    Ok(()) => output::line(&format!("wrote {file}: shorten it with … and ⟨words⟩")),
                    Err(wrong) => problems.push(Problem::of(
                        file,
                        format!("cannot be written: {wrong}"),
                        "look at the permissions of book/transcripts",
                    )),
                }
            }
            Err((line, wrong)) => problems.push(wrong.at(file, line)),
        }
    }
    problems
}

/// A transcript's name.
fn stem(file: &str) -> String {
    Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
