//! A student's submission. Only the text of a program is read: no manifest, no build script,
//! nothing behind a symbolic link.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::exercise::exercises::Exercise;

/// The longest program, in bytes. A longer file is a mistake or an attack.
const LONGEST: u64 = 256 * 1024;

/// A student's submission: the files that are named like an exercise.
#[derive(Clone, Debug)]
pub struct Submission {
    student: String,
    /// Names of exercises, and files.
    programs: Vec<(String, PathBuf)>,
}

/// The submission for an exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A program's text.
    Program(String),
    /// Nothing.
    Missing,
    /// The unchanged starter.
    Untouched,
    /// A file that is not read, and why.
    Refused(String),
}

impl Submission {
    /// The programs of the student whose folder has this name.
    pub fn new(folder: &str, programs: Vec<(String, PathBuf)>) -> Submission {
        Submission { student: printable(folder), programs }
    }

    /// The student's name: the folder's name in printable characters.
    pub fn student(&self) -> &str {
        &self.student
    }

    /// The submission for an exercise.
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

/// Makes a name safe for terminals and tables: control characters, and those that change how others
/// look, such as U+202E, become `?`.
pub fn printable(name: &str) -> String {
    let shown = |letter: &char| {
        // A combining accent after a letter stays.
        let escaped = format!("a{letter}").escape_debug().to_string();
        !letter.is_control() && !escaped.contains("\\u{")
    };
    name.chars().map(|letter| if shown(&letter) { letter } else { '?' }).collect()
}

/// Reads a file that may change meanwhile: follows no symbolic link, does not wait for a pipe, and
/// reads no more than the limit.
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
    String::from_utf8(bytes).map_err(|_| "it is not text")
}
