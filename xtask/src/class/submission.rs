//! What a student handed in. Of all that may lie there, only the text of a program is taken:
//! no manifest, no build script, nothing behind a symbolic link.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::exercise::compile::{Build, Built, Limits};
use crate::exercise::exercises::Exercise;
use crate::exercise::workbook::{manifest_of, target};

/// A program is longer than this only by mistake or ill will.
const LONGEST: u64 = 256 * 1024;
/// Time for all programs of a student to compile, and for one.
const COMPILE: Duration = Duration::from_secs(240);
const COMPILE_ONE: Duration = Duration::from_secs(60);

/// What a student handed in: the files that are called like an exercise.
#[derive(Clone, Debug)]
pub struct Submission {
    student: String,
    /// Names of exercises, and files.
    programs: Vec<(String, PathBuf)>,
}

/// What was handed in for an exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A program's text.
    Program(String),
    /// Nothing.
    Missing,
    /// The starter as it was.
    Untouched,
    /// Something that is not read, and why.
    Refused(String),
}

impl Submission {
    /// The programs of the student whose folder has this name.
    pub fn new(folder: &str, programs: Vec<(String, PathBuf)>) -> Submission {
        Submission { student: printable(folder), programs }
    }

    /// The student's name: the folder's, as far as it can be printed.
    pub fn student(&self) -> &str {
        &self.student
    }

    /// What was handed in for an exercise.
    pub fn program(&self, exercise: &Exercise) -> Found {
        let named = self.programs.iter().filter(|(name, _)| *name == exercise.name);
        let paths: Vec<&PathBuf> = named.map(|(_, path)| path).collect();
        let path = match paths[..] {
            [] => return Found::Missing,
            [path] => path,
            _ => return Found::Refused(format!("there are {} of this name", paths.len())),
        };
        match read(path) {
            Err(why) => Found::Refused(why.to_string()),
            Ok(text) if fs::read_to_string(exercise.starter()).is_ok_and(|own| own == text) => {
                Found::Untouched
            }
            Ok(text) => Found::Program(text),
        }
    }
}

/// A name that spoils no terminal and no table: control characters, and those that only change
/// how others look, such as U+202E, become `?`.
pub fn printable(name: &str) -> String {
    let shown = |letter: &char| {
        // The letter before it keeps an accent that is a character of its own.
        let escaped = format!("a{letter}").escape_debug().to_string();
        !letter.is_control() && !escaped.contains("\\u{")
    };
    name.chars().map(|letter| if shown(&letter) { letter } else { '?' }).collect()
}

/// Reads a file that may change while we look: no link is followed, a pipe is not waited for,
/// and no more is read than may be.
fn read(path: &Path) -> Result<String, &'static str> {
    if path.is_symlink() {
        return Err("it is a symbolic link");
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file: File = open.map_err(|_| "it cannot be read")?;
    if !file.metadata().is_ok_and(|about| about.is_file()) {
        return Err("it is not a file");
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|_| "it cannot be read")?;
    if bytes.len() as u64 > LONGEST {
        return Err("it is too long");
    }
    String::from_utf8(bytes).map_err(|_| "it is no text")
}

/// Compiles a student's programs in a package of ours. One that keeps the compiler busy for
/// too long does not take the others with it.
///
/// # Errors
/// If the package cannot be written, or Cargo cannot be started.
pub fn compile(programs: &[(&Exercise, String)], workspace: &Path) -> Result<Built> {
    if programs.is_empty() {
        return Ok(Built::default());
    }
    let target = target(workspace);
    let folder = target.join("class/submission");
    let _ = fs::remove_dir_all(&folder);
    let bins = folder.join("src/bin");
    fs::create_dir_all(&bins).with_context(|| format!("making {}", bins.display()))?;
    let common = workspace.join("common").canonicalize().context("the folder of `common`")?;
    let manifest = manifest_of(workspace, "submission", &common.display().to_string())?
        .replace("debug = \"line-tables-only\"", "debug = false");
    fs::write(folder.join("Cargo.toml"), manifest).context("writing the manifest")?;
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).context("Cargo.lock")?;
    for (exercise, text) in programs {
        fs::write(bins.join(format!("{}.rs", exercise.name)), text).context("a program")?;
    }
    let build = |program, within| {
        Build {
            manifest: &folder.join("Cargo.toml"),
            target: &target.join("workbook"),
            program,
            within,
            env: vec![("CARGO_INCREMENTAL".into(), "0".into())],
            limits: Some(Limits::for_compiler()),
        }
        .run()
    };
    if let Ok(built) = build(None, COMPILE) {
        return Ok(built);
    }
    let mut all = Built::default();
    for (exercise, _) in programs {
        match build(Some(&exercise.name), COMPILE_ONE) {
            Ok(built) => {
                all.programs.extend(built.programs);
                all.errors.extend(built.errors);
            }
            Err(error) => {
                all.errors.insert(exercise.name.clone(), format!("{error:#}"));
            }
        }
    }
    Ok(all)
}
