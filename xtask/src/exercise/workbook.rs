//! The learner's folder: a small Cargo workspace of its own that git ignores, so that a pull
//! never meets it and half-typed code breaks nothing else.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::compile::{Build, Built};
use super::exercises::Exercise;

/// The first line of a manifest that may be written anew.
const MADE: &str = "# Made by `cargo xtask`, and kept up to date as long as this line stands here.";

/// A compilation that takes longer is given up.
const COMPILE: Duration = Duration::from_secs(300);

/// A workbook, and the workspace that it belongs to.
#[derive(Clone, Debug)]
pub struct Workbook {
    workspace: PathBuf,
    folder: PathBuf,
    target: PathBuf,
}

impl Workbook {
    /// The workbook of a workspace, whether it is there yet or not.
    pub fn of(workspace: &Path) -> Workbook {
        Workbook::at(workspace, &workspace.join("workbook"))
    }

    /// A workbook elsewhere.
    pub fn at(workspace: &Path, folder: &Path) -> Workbook {
        Workbook {
            workspace: workspace.to_path_buf(),
            folder: folder.to_path_buf(),
            target: target(workspace).join("workbook"),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The learner's program for an exercise.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("src/bin").join(format!("{name}.rs"))
    }

    /// Makes what is missing. What is there stays as it is, but for the versions of what the
    /// programs depend on: they follow the workspace.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn prepare(&self) -> Result<()> {
        let bins = self.folder.join("src/bin");
        fs::create_dir_all(&bins).with_context(|| format!("making {}", bins.display()))?;
        let manifest = self.folder.join("Cargo.toml");
        self.write_manifest(&manifest)?;
        let config = self.folder.join(".cargo/config.toml");
        write_if_missing(
            &config,
            "# So that `cargo run --bin NAME` and `cargo xtask …` work in this folder too.\n\
             [build]\ntarget-dir = \"../target/workbook\"\n\n\
             [alias]\nxtask = \"run --manifest-path ../Cargo.toml --package xtask --\"\n",
        )?;
        self.follow_lock()
    }

    /// The manifest follows the workspace too, as long as its first line says that it is ours.
    fn write_manifest(&self, path: &Path) -> Result<()> {
        let ours = manifest_of(&self.workspace, "workbook", "../common")?;
        let there = fs::read_to_string(path).ok();
        match there {
            Some(text) if text == ours || !text.starts_with(MADE) => Ok(()),
            _ => write_whole(path, ours.as_bytes()),
        }
    }

    /// Tells rust-analyzer, where the workspace is opened as a whole, that there is a second
    /// one. Elsewhere it finds the workbook by itself.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn tell_editor(&self) -> Result<()> {
        let settings = self.workspace.join(".vscode/settings.json");
        write_if_missing(
            &settings,
            "{\n  \"rust-analyzer.linkedProjects\": [\"Cargo.toml\", \"workbook/Cargo.toml\"]\n}\n",
        )
    }

    /// The same versions as the workspace has: they are on this machine already.
    fn follow_lock(&self) -> Result<()> {
        let (theirs, ours) = (self.workspace.join("Cargo.lock"), self.folder.join("Cargo.lock"));
        let changed = |path: &Path| fs::metadata(path).and_then(|about| about.modified());
        let newer = match (changed(&theirs), changed(&ours)) {
            (Ok(theirs), Ok(ours)) => theirs > ours,
            _ => true,
        };
        if newer {
            fs::copy(&theirs, &ours).with_context(|| format!("copying to {}", ours.display()))?;
        }
        Ok(())
    }

    /// Puts the starter of an exercise there, unless the learner has begun already; whether
    /// it was put there now.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&self, exercise: &Exercise) -> Result<bool> {
        self.prepare()?;
        let path = self.program(&exercise.name);
        if path.exists() {
            return Ok(false);
        }
        let starter = fs::read(exercise.starter()).context("reading the starter")?;
        write_whole(&path, &starter)?;
        Ok(true)
    }

    /// Puts the starter back; where the learner's program is kept.
    ///
    /// # Errors
    /// If there is nothing to put back, or it cannot be written.
    pub fn reset(&self, exercise: &Exercise) -> Result<PathBuf> {
        let path = self.program(&exercise.name);
        if !path.exists() {
            bail!("{} is not begun: there is nothing to reset", exercise.name);
        }
        let mine = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let backup = self.keep(&exercise.name, &mine)?;
        let starter = fs::read(exercise.starter()).context("reading the starter")?;
        write_whole(&path, &starter)?;
        Ok(backup)
    }

    /// Takes a reset back: the newest backup becomes the program again, and what was there
    /// is kept in its place.
    ///
    /// # Errors
    /// If there is no backup, or it cannot be written.
    pub fn undo(&self, exercise: &Exercise) -> Result<()> {
        let Some((number, newest)) = self.backups(&exercise.name).pop() else {
            bail!("there is no backup of {}", exercise.name);
        };
        let path = self.program(&exercise.name);
        let before = fs::read(&path).unwrap_or_default();
        let mine = fs::read(&newest).with_context(|| format!("reading {}", newest.display()))?;
        write_whole(&path, &mine)?;
        write_whole(&self.backup(&exercise.name, number), &before)
    }

    fn backup(&self, name: &str, number: u32) -> PathBuf {
        self.folder.join("backup").join(format!("{name}.{number}.rs"))
    }

    /// The backups of a program by number, the newest last.
    fn backups(&self, name: &str) -> Vec<(u32, PathBuf)> {
        let Ok(entries) = fs::read_dir(self.folder.join("backup")) else { return Vec::new() };
        let mut found: Vec<(u32, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let file = entry.file_name().to_string_lossy().into_owned();
                let number = file.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".rs")?;
                Some((number.parse().ok()?, entry.path()))
            })
            .collect();
        found.sort();
        found
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let number = self.backups(name).last().map_or(1, |(number, _)| number + 1);
        let path = self.backup(name, number);
        fs::create_dir_all(self.folder.join("backup")).context("making the folder of backups")?;
        write_whole(&path, bytes)?;
        Ok(path)
    }

    /// Compiles the learner's program.
    ///
    /// # Errors
    /// If Cargo cannot be started. That the program does not compile is part of the answer.
    pub fn compile(&self, name: &str) -> Result<Built> {
        self.prepare()?;
        let build = Build {
            manifest: &self.folder.join("Cargo.toml"),
            target: &self.target,
            program: Some(name),
            within: COMPILE,
            env: Vec::new(),
            limits: None,
        };
        build.run()
    }
}

/// The manifest of a package of programs, with the workspace's versions of what they may use.
///
/// # Errors
/// If the workspace's manifest lacks one of them.
pub fn manifest_of(workspace: &Path, name: &str, common: &str) -> Result<String> {
    let path = workspace.join("Cargo.toml");
    let theirs =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut manifest = format!(
        "{MADE}\n[package]\nname = \"{name}\"\nversion = \
         \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n# Of its own, so that nothing here can \
         break the workspace around it.\n[workspace]\n\n[dependencies]\ncommon = {{ path = \
         \"{common}\" }}\n"
    );
    for dependency in ["io-uring", "anyhow", "libc", "nix"] {
        let line = theirs
            .lines()
            .find(|line| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(" =")))
            .with_context(|| format!("{} does not name {dependency}", path.display()))?;
        manifest.push_str(line);
        manifest.push('\n');
    }
    manifest.push_str("\n[profile.dev]\ndebug = \"line-tables-only\"\n");
    Ok(manifest)
}

/// Where Cargo puts what it builds: this program lies there itself.
pub fn target(workspace: &Path) -> PathBuf {
    let own = std::env::current_exe().ok();
    let found = own.as_deref().and_then(|program| {
        let profile = |path: &&Path| path.ends_with("debug") || path.ends_with("release");
        Some(program.ancestors().find(profile)?.parent()?.to_path_buf())
    });
    found.unwrap_or_else(|| workspace.join("target"))
}

fn write_if_missing(path: &Path, text: &str) -> Result<()> {
    if path.exists() { Ok(()) } else { write_whole(path, text.as_bytes()) }
}

/// Writes a file so that it is either as before or whole, whenever the program is killed.
///
/// # Errors
/// If it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.with_context(|| format!("writing {}", path.display()))
}
