//! The folders of exercises: the days', or a teacher's.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};

use super::exercises::{About, Exercise, WrongUsage, read};
use super::plan::Plan;
use super::procedures::{Check, procedure};

/// The files of every exercise, besides its check.
const FILES: [&str; 6] =
    ["exercise.toml", "brief.md", "hints.md", "starter.rs", "solution.rs", "variants.toml"];

/// The days, each with a folder of the workspace.
pub const DAYS: std::ops::RangeInclusive<u32> = 1..=4;

/// The "day" of the exercises for the chapters after the journal.
pub const BEYOND: u32 = 5;

/// A day, as a heading: `Day 4`.
pub fn heading(day: u32) -> String {
    if day == BEYOND { "Beyond".to_string() } else { format!("Day {day}") }
}

/// Which exercises to use: the book's, unless folders are named.
#[derive(Args, Clone, Debug, Default)]
pub struct Folders {
    /// Use the exercises in DIR instead of the book's
    ///
    /// DIR is the folder of an exercise, or has such folders in it. Give the option several times
    /// for several folders: `--exercises day01/exercises` adds those of day 1. The book's page
    /// Writing an exercise explains the files in such a folder.
    #[arg(long = "exercises", value_name = "DIR", global = true, value_parser = PathBufValueParser::new().try_map(expanded))]
    folders: Vec<PathBuf>,
}

impl Folders {
    /// The named folders; empty for the book's exercises.
    pub fn named(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The options for a command on the same exercises, with a space before each.
    pub fn options(&self) -> String {
        self.folders.iter().map(|folder| format!(" --exercises {}", folder.display())).collect()
    }

    /// All finished exercises in their order. Names unfinished ones on the standard error, and
    /// leaves them out.
    ///
    /// # Errors
    /// If no exercise is left, or a folder is wrong.
    pub fn load(&self, workspace: &Path) -> Result<Vec<Exercise>> {
        let (exercises, unfinished) = self.look(workspace)?;
        for why in &unfinished {
            // If stderr is closed, the line is not needed.
            let _ = writeln!(io::stderr(), "left out: {why}");
        }
        match (exercises.is_empty(), self.folders.first()) {
            (false, _) => Ok(exercises),
            (true, _) if !unfinished.is_empty() => {
                Err(WrongUsage::error("no exercise is left; mend what is left out".to_string()))
            }
            (true, None) => bail!("there are no exercises in {}", workspace.display()),
            (true, Some(folder)) => Err(WrongUsage::error(format!(
                "{0} holds no finished exercise. An exercise is a folder with an exercise.toml; \
                 `cargo xtask exercise new NAME --day 1 --exercises {0}` makes one",
                folder.display()
            ))),
        }
    }

    /// The finished exercises, and what each of the others lacks.
    ///
    /// # Errors
    /// If a folder cannot be read, or two exercises have one name.
    pub fn look(&self, workspace: &Path) -> Result<(Vec<Exercise>, Vec<String>)> {
        let mut places = Vec::new();
        for day in DAYS.chain([BEYOND]) {
            if self.folders.is_empty() {
                places.extend(subfolders(&workspace.join(day_folder(day))).unwrap_or_default());
            }
        }
        for folder in &self.folders {
            places.extend(in_folder(folder)?);
        }
        let (mut exercises, mut unfinished) = (Vec::new(), Vec::new());
        for place in &places {
            match one(workspace, place) {
                Ok(exercise) => exercises.push(exercise),
                Err(error) => unfinished.push(format!("{error:#}")),
            }
        }
        let mut names: BTreeMap<&str, &Path> = BTreeMap::new();
        for Exercise { name, folder, .. } in &exercises {
            if let Some(other) = names.insert(name, folder) {
                return Err(WrongUsage::error(format!(
                    "two exercises are called {name}: {} and {}; rename one of the folders",
                    other.display(),
                    folder.display()
                )));
            }
        }
        exercises.sort_by_key(|exercise| (exercise.day, exercise.about.order));
        unfinished.sort();
        Ok((exercises, unfinished))
    }
}

/// The book's exercises, as from [`Folders::load`].
///
/// # Errors
/// If no exercise is left.
pub fn load(workspace: &Path) -> Result<Vec<Exercise>> {
    Folders::default().load(workspace)
}

/// The folder of a day's exercises, within the workspace.
pub fn day_folder(day: u32) -> String {
    if day == BEYOND { "day04/beyond/exercises".into() } else { format!("day{day:02}/exercises") }
}

/// For `--exercises=~/mine` a shell does not replace the `~`.
fn expanded(folder: PathBuf) -> Result<PathBuf, String> {
    match folder.to_string_lossy().starts_with('~') {
        true => {
            Err("the shell did not replace `~` with your home; write a space before it instead of \
                     `=`, and no quotes"
                .to_string())
        }
        false => Ok(folder),
    }
}

fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    Ok(entries.filter(|path| path.is_dir()).collect())
}

/// The exercises of a named folder: the folder itself, or folders in it. A folder without any file
/// of an exercise is ignored.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let path = folder.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => WrongUsage::error(format!(
            "there is no folder {0}; `cargo xtask exercise new NAME --day 1 --exercises {0}` makes \
             it, with an exercise to fill in",
            folder.display()
        )),
        _ => unreadable(folder, &error),
    })?;
    let is_exercise = |path: &PathBuf| FILES.iter().any(|file| path.join(file).is_file());
    if is_exercise(&path) {
        return Ok(vec![path]);
    }
    let inside = subfolders(&path).map_err(|error| unreadable(folder, &error))?;
    Ok(inside.into_iter().filter(is_exercise).collect())
}

fn unreadable(folder: &Path, error: &io::Error) -> anyhow::Error {
    WrongUsage::error(format!("the folder {} cannot be read: {error}", folder.display()))
}

/// The day to whose folder an exercise belongs; `None` outside the workspace.
fn day_of(workspace: &Path, folder: &Path) -> Option<u32> {
    let parent = folder.canonicalize().ok()?.parent()?.to_path_buf();
    let is_its = |day: &u32| {
        workspace.join(day_folder(*day)).canonicalize().is_ok_and(|folder| folder == parent)
    };
    DAYS.chain([BEYOND]).find(is_its)
}

fn one(workspace: &Path, folder: &Path) -> Result<Exercise> {
    let shown = folder.strip_prefix(workspace).unwrap_or(folder).display().to_string();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own_day = day_of(workspace, folder);
    for file in FILES {
        ensure!(folder.join(file).is_file(), "{shown} has no {file}");
    }
    let about: About = toml::from_str(&read(&folder.join("exercise.toml"))?)
        .with_context(|| format!("{shown}/exercise.toml"))?;
    let day = match (own_day, about.day) {
        (Some(day), None) => day,
        (Some(_), Some(_)) => {
            bail!("{shown}/exercise.toml: its folder says its day; take the line `day` out")
        }
        (None, Some(day)) if DAYS.contains(&day) => day,
        (None, _) => bail!(
            "{shown}/exercise.toml: write `day = 2`, for example: outside the repository no folder \
             says which of the days 1 to 4 it belongs to"
        ),
    };
    if own_day.is_none() {
        free_name(workspace, &name).with_context(|| shown.clone())?;
    }
    let check = check_of(folder, &name, &shown, own_day.is_some())?;
    Ok(Exercise { name, day, about, folder: folder.to_path_buf(), check })
}

/// The check: `check.toml` or `check.rs`.
fn check_of(folder: &Path, name: &str, shown: &str, is_own: bool) -> Result<Check> {
    let (data, code) = (folder.join("check.toml"), folder.join("check.rs"));
    match (data.is_file(), code.is_file()) {
        (_, true) if !is_own => bail!(
            "{shown}/check.rs: a check in Rust is compiled into this tool, from the days' folders \
             only. Write a check.toml in its place (the book's page Writing an exercise), or move \
             the folder into the repository, to day01/exercises/ for example"
        ),
        (true, true) => bail!("{shown} has a check.toml and a check.rs; it must have one of them"),
        (true, false) => {
            let plan = Plan::parse(&read(&data)?).with_context(|| format!("{shown}/check.toml"))?;
            Ok(Check::Plan(Arc::new(plan)))
        }
        (false, true) => procedure(name)
            .map(Check::Procedure)
            .with_context(|| format!("{shown}/check.rs was added after this tool was built")),
        (false, false) => bail!("{shown} has no check.toml and no check.rs"),
    }
}

/// Fails unless a program and a module can have this name, and no exercise of the book has it: the
/// workbook has all programs in one folder.
///
/// # Errors
/// What is wrong with the name.
pub fn free_name(workspace: &Path, name: &str) -> Result<()> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    ensure!(
        name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.chars().all(|letter| plain(letter) || letter == '_'),
        "an exercise's name has small letters, digits and `_`, as in `first_nop`: {name:?} cannot be one"
    );
    ensure!(name.len() <= LONGEST_NAME, "a name has at most {LONGEST_NAME} letters: {name:?}");
    ensure!(!RESERVED.contains(&name), "Rust or Cargo needs the word {name:?} for itself");
    for folder in DAYS.chain([BEYOND]).map(day_folder) {
        ensure!(
            !workspace.join(&folder).join(name).exists(),
            "{folder} has an exercise {name} already; choose another name"
        );
    }
    Ok(())
}

/// The longest name, in letters, for which the list has room.
const LONGEST_NAME: usize = 17;

/// Words that cannot be the name of a module or of a program.
const RESERVED: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "common",
    "const",
    "continue",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];
