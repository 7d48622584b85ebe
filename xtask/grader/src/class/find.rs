//! Finds the programs of a class: each student has a folder, and below it are files named like an
//! exercise. They need not be in `workbook/src/bin`: students submit the whole repository, or a few
//! loose files. Symbolic links are not followed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use common::text::several;

use super::submission::{Submission, printable};
use crate::exercise::exercises::{Exercise, WrongUsage};

/// Folders without a student's program: earlier versions, Cargo's output, a Mac's additions to an
/// archive, and this tool itself, whose checks are named like the exercises.
const PASSED_OVER: [&str; 4] = ["backup", "target", "__MACOSX", "xtask"];
/// The depth of the search: `io_uring-main/io_uring/workbook/src/bin`.
const DEEPEST: usize = 5;
/// The most files and folders of one student that are searched.
const MOST: usize = 20_000;

/// The content of a class's folder.
#[derive(Clone, Debug)]
pub struct Class {
    /// The students' folders, sorted by name.
    pub submissions: Vec<Submission>,
    /// Skipped files, and programs in unexpected places, one sentence each.
    pub remarks: Vec<String>,
}

/// Searches `folder` for programs that are named like one of `all` exercises.
///
/// # Errors
/// If the folder cannot be read, has no folder in it, or is one student's folder.
pub fn find(folder: &Path, all: &[Exercise]) -> Result<Class> {
    let shown = folder.display();
    let entries = fs::read_dir(folder).with_context(|| format!("reading {shown}"))?;
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    if ["workbook", "src/bin"].iter().any(|inner| folder.join(inner).is_dir()) {
        return Err(WrongUsage::error(format!(
            "{shown} is one student's folder; name the folder that holds all of them"
        )));
    }

    let mut class = Class { submissions: Vec::new(), remarks: Vec::new() };
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().with_context(|| format!("looking at {name}"))?;
        let why = if name.starts_with('.') {
            continue;
        } else if name == "__MACOSX" {
            "a Mac's additions to an archive"
        } else if kind.is_dir() {
            let (submission, remarks) = Search::of(&entry.path(), all).submission(&name);
            class.submissions.push(submission);
            class.remarks.extend(remarks);
            continue;
        } else if kind.is_symlink() {
            "a symbolic link"
        } else if is_archive(&name) {
            "an archive; unpack it first"
        } else {
            "not a folder"
        };
        class.remarks.push(format!("{} was skipped: {why}", printable(&name)));
    }
    if class.submissions.is_empty() {
        let skipped: String = class.remarks.iter().map(|remark| format!("\n{remark}")).collect();
        return Err(WrongUsage::error(format!(
            "{shown} holds no folder; it must hold one for each student{skipped}"
        )));
    }
    Ok(class)
}

fn is_archive(name: &str) -> bool {
    let ends = [".zip", ".tar", ".tgz", ".gz", ".xz", ".zst", ".bz2", ".7z", ".rar"];
    ends.iter().any(|end| name.to_lowercase().ends_with(end))
}

/// The files of one student.
struct Search<'a> {
    folder: &'a Path,
    all: &'a [Exercise],
    /// Rust files that are named like an exercise, with that exercise.
    programs: Vec<(String, PathBuf)>,
    /// Other Rust files.
    others: Vec<PathBuf>,
    /// Symbolic links that could lead to programs.
    links: Vec<PathBuf>,
    seen: usize,
}

impl<'a> Search<'a> {
    fn of(folder: &'a Path, all: &'a [Exercise]) -> Search<'a> {
        let (programs, others, links) = (Vec::new(), Vec::new(), Vec::new());
        let mut search = Search { folder, all, programs, others, links, seen: 0 };
        search.look_into(folder, DEEPEST);
        search
    }

    fn look_into(&mut self, folder: &Path, deeper: usize) {
        let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self.seen += 1;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if self.seen > MOST || name.starts_with('.') || PASSED_OVER.contains(&name.as_str()) {
                continue;
            }
            let path = entry.path();
            if kind.is_dir() {
                if deeper > 0 {
                    self.look_into(&path, deeper - 1);
                }
            } else if let Some(stem) = name.to_lowercase().strip_suffix(".rs") {
                // `First-Nop.rs` counts as first_nop.
                let stem = stem.replace(['-', ' '], "_");
                match self.all.iter().any(|exercise| exercise.name == stem) {
                    true => self.programs.push((stem, path)),
                    false => self.others.push(path),
                }
            } else if kind.is_symlink() {
                self.links.push(path);
            }
        }
    }

    /// The programs, and remarks on their places.
    fn submission(mut self, student: &str) -> (Submission, Vec<String>) {
        // A file in src/bin has priority over others with the same name.
        let placed: Vec<String> = self
            .programs
            .iter()
            .filter(|(_, path)| in_bins(path))
            .map(|(name, _)| name.clone())
            .collect();
        self.programs.retain(|(name, path)| in_bins(path) || !placed.contains(name));

        let mut remarks = Vec::new();
        let elsewhere: Vec<String> = self
            .programs
            .iter()
            .map(|(name, path)| (format!("src/bin/{name}.rs"), self.shown(path)))
            .filter(|(usual, path)| path != usual && *path != format!("workbook/{usual}"))
            .map(|(_, path)| path)
            .collect();
        if !elsewhere.is_empty() {
            remarks.push(format!("taken from {}", some(&elsewhere)));
        }
        // Other files in the programs' folders, or all other files if there are no programs.
        let beside = |path: &Path| self.programs.iter().any(|(_, it)| it.parent() == path.parent());
        let alone = self.programs.is_empty();
        let others: Vec<String> = self
            .others
            .iter()
            .filter(|path| alone || beside(path) || in_bins(path))
            .map(|path| self.shown(path))
            .collect();
        if !others.is_empty() {
            remarks.push(format!("not called like an exercise: {}", some(&others)));
        }
        if alone && !self.links.is_empty() {
            let links: Vec<String> = self.links.iter().map(|path| self.shown(path)).collect();
            remarks.push(format!("symbolic links are not followed: {}", some(&links)));
        }
        if self.seen > MOST {
            remarks.push(format!("only {MOST} of the files were looked at"));
        } else if alone && remarks.is_empty() {
            remarks.push("no Rust file was found".to_string());
        }
        let submission = Submission::new(student, self.programs);
        let student = submission.student();
        let remarks = remarks.iter().map(|remark| format!("{student}: {remark}")).collect();
        (submission, remarks)
    }

    /// A path below the student's folder.
    fn shown(&self, path: &Path) -> String {
        printable(&path.strip_prefix(self.folder).unwrap_or(path).to_string_lossy())
    }
}

/// Whether a file is where Cargo looks for programs.
fn in_bins(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("src/bin"))
}

/// The first three, and how many more.
fn some(names: &[String]) -> String {
    let mut text = names[..names.len().min(3)].join(", ");
    if names.len() > 3 {
        text.push_str(&format!(" and {}", several(names.len() - 3, "other")));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::exercise::{exercises, folders};
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::class::submission::Found;
    use toolbox::programs::workspace;

    /// A folder of submissions.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().unwrap())
        }

        /// Adds a file to the submission; its text is its path.
        fn file(&self, path: &str) {
            let file = self.0.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, path).unwrap();
        }
    }

    #[test]
    fn programs_are_found_wherever_they_lie() {
        let all = folders::load(&workspace()).unwrap();
        let folder = Folder::new();
        let places = [
            ("ada", "workbook/src/bin/first_nop.rs", ""),
            ("bob", "src/bin/first_nop.rs", ""),
            ("ivan", "first_nop.rs", "taken from first_nop.rs"),
            ("judy", "src/First-Nop.rs", "taken from src/First-Nop.rs"),
            (
                "olivia",
                "io_uring-main/workbook/src/bin/first_nop.rs",
                "taken from io_uring-main/workbook/src/bin/first_nop.rs",
            ),
        ];
        for (student, path, _) in places {
            folder.file(&format!("{student}/{path}"));
        }
        // The whole repository, and earlier versions: none of these is the program.
        folder.file("olivia/io_uring-main/xtask/grader/src/exercise/checks/day1/first_nop.rs");
        folder.file("olivia/io_uring-main/xtask/grader/src/exercise/checks/day1/one_enter.rs");
        folder.file("olivia/io_uring-main/first_nop.rs");
        folder.file("ada/workbook/backup/first_nop.rs");
        folder.file("ada/target/debug/first_nop.rs");

        let class = find(folder.0.path(), &all).unwrap();
        let nop = exercises::find(&all, "first_nop").unwrap();
        let one_enter = exercises::find(&all, "one_enter").unwrap();
        for ((student, path, _), submission) in places.iter().zip(&class.submissions) {
            assert_eq!(submission.student(), *student);
            assert_eq!(submission.program(nop), Found::Program(format!("{student}/{path}")));
            assert_eq!(submission.program(one_enter), Found::Missing);
        }
        let remarks: Vec<String> = places
            .iter()
            .filter(|(.., remark)| !remark.is_empty())
            .map(|(student, _, remark)| format!("{student}: {remark}"))
            .collect();
        assert_eq!(class.remarks, remarks);
    }

    #[test]
    fn what_is_skipped_is_named() {
        let all = folders::load(&workspace()).unwrap();
        let folder = Folder::new();
        folder.file("__MACOSX/alice/first_nop.rs");
        folder.file(".git/config");
        folder.file("anna/first_nop.rs");
        folder.file("anna/firstnop.rs");
        folder.file("bert/one/first_nop.rs");
        folder.file("bert/two/first_nop.rs");
        folder.file("cleo/src/main.rs");
        folder.file("dora/notes.txt");
        folder.file("evil\u{202e}/a\nb.rs");
        symlink("anna", folder.0.path().join("frank")).unwrap();
        fs::create_dir(folder.0.path().join("gus")).unwrap();
        symlink("../anna", folder.0.path().join("gus/src")).unwrap();
        folder.file("peggy.zip");
        folder.file("list.txt");

        let class = find(folder.0.path(), &all).unwrap();
        let expected = [
            "__MACOSX was skipped: a Mac's additions to an archive",
            "anna: taken from first_nop.rs",
            "anna: not called like an exercise: firstnop.rs",
            "bert: taken from one/first_nop.rs, two/first_nop.rs",
            "cleo: not called like an exercise: src/main.rs",
            "dora: no Rust file was found",
            "evil?: not called like an exercise: a?b.rs",
            "frank was skipped: a symbolic link",
            "gus: symbolic links are not followed: src",
            "list.txt was skipped: not a folder",
            "peggy.zip was skipped: an archive; unpack it first",
        ];
        assert_eq!(class.remarks, expected);
        let bert = class.submissions.iter().find(|it| it.student() == "bert").unwrap();
        let nop = exercises::find(&all, "first_nop").unwrap();
        assert_eq!(bert.program(nop), Found::Refused("there are 2 of this name".into()));
    }

    #[test]
    fn a_students_own_folder_is_no_class() {
        let all = folders::load(&workspace()).unwrap();
        let folder = Folder::new();
        folder.file("src/bin/first_nop.rs");
        let error = find(folder.0.path(), &all).unwrap_err();
        assert!(error.to_string().contains("is one student's folder"), "{error}");
        fs::remove_dir_all(folder.0.path().join("src")).unwrap();
        folder.file("zed.zip");
        let error = find(folder.0.path(), &all).unwrap_err().to_string();
        assert!(error.contains("holds no folder") && error.contains("unpack it first"), "{error}");
    }
}
