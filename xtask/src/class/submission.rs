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

/// A student's folder.
#[derive(Clone, Debug)]
pub struct Submission {
    name: String,
    programs: PathBuf,
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
    Refused(&'static str),
}

/// The submissions in a folder, by the names of their students.
///
/// # Errors
/// If the folder cannot be read.
pub fn find(folder: &Path) -> Result<Vec<Submission>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    let mut found: Vec<Submission> = entries
        .flatten()
        .filter(|entry| is_folder(&entry.path()))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let workbook = entry.path().join("workbook");
            let within = if is_folder(&workbook) { workbook } else { entry.path() };
            // A link on the way would lead out of the submission.
            let (src, bin) = (within.join("src"), within.join("src/bin"));
            let straight = is_folder(&src) && is_folder(&bin);
            let programs = if straight { bin } else { PathBuf::new() };
            Submission { name, programs }
        })
        .filter(|submission| !submission.name.starts_with('.'))
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

impl Submission {
    /// The student's name: the folder's, without what could spoil a terminal or a table.
    pub fn student(&self) -> String {
        self.name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
    }

    /// What was handed in for an exercise.
    pub fn program(&self, exercise: &Exercise) -> Found {
        if self.programs.as_os_str().is_empty() {
            return Found::Missing;
        }
        let path = self.programs.join(format!("{}.rs", exercise.name));
        match fs::symlink_metadata(&path) {
            Err(_) => return Found::Missing,
            Ok(about) if about.is_symlink() => return Found::Refused("it is a symbolic link"),
            Ok(about) if !about.is_file() => return Found::Refused("it is not a file"),
            Ok(about) if about.len() > LONGEST => return Found::Refused("it is too long"),
            Ok(_) => {}
        }
        match read(&path) {
            Err(why) => Found::Refused(why),
            Ok(text) if fs::read_to_string(exercise.starter()).is_ok_and(|own| own == text) => {
                Found::Untouched
            }
            Ok(text) => Found::Program(text),
        }
    }
}

/// Reads a file that may change while we look: no link is followed, a pipe is not waited for,
/// and no more is read than may be.
fn read(path: &Path) -> Result<String, &'static str> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file: File = open.map_err(|_| "it cannot be read")?;
    if !file.metadata().is_ok_and(|about| about.is_file()) {
        return Err("it is not a file");
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(|_| "it cannot be read")?;
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
