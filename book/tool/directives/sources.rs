//! What every directive can use: the book's files, and the errors about them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::pages::Page;
use crate::problem::{Complaint, Problem};

/// What every directive can use.
pub struct Sources<'a> {
    /// The workspace.
    pub root: &'a Path,
    /// The book's folder.
    pub book: &'a Path,
    /// All pages.
    pub pages: &'a [Page],
}

/// What is wrong with a directive, or with a file that it includes.
pub enum Wrong {
    Here(Complaint),
    Elsewhere(Vec<Problem>),
}

impl From<Complaint> for Wrong {
    fn from(complaint: Complaint) -> Self {
        Self::Here(complaint)
    }
}

/// `text` with `prefix` before every line but the first, which has it already.
pub fn indented(text: &str, prefix: &str) -> String {
    let lines: Vec<&str> = text.trim_end_matches('\n').lines().collect();
    lines.join(&format!("\n{prefix}"))
}

/// A file by its name: its path for messages, and its text.
pub fn read(
    sources: &Sources<'_>,
    folder: &str,
    name: &str,
    extension: &str,
) -> Result<(String, String), Complaint> {
    let path: PathBuf = sources.book.join(folder).join(format!("{name}.{extension}"));
    let shown = crate::paths::name(sources.root, &path);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Complaint::new(
            format!("`{name}` is not a name"),
            format!("write the name of a file in book/{folder}/, without `.{extension}`"),
        ));
    }
    if !path.is_file() {
        return Err(missing(&path, &shown, folder, name, extension));
    }
    Ok((shown.clone(), load(&path, &shown)?))
}

/// A complaint about a missing file, with the files that exist.
fn missing(path: &Path, shown: &str, folder: &str, name: &str, extension: &str) -> Complaint {
    let mut known: Vec<String> = path
        .parent()
        .and_then(|parent| fs::read_dir(parent).ok())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    known.sort();
    let make = match folder {
        "transcripts" => format!("write its `$ ` lines, then: cargo xtask book record {name}"),
        "traces" => format!("cargo xtask record {name}"),
        _ => "draw it".to_owned(),
    };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Complaint::new(format!("there is no file {shown}"), format!("{make}\nthere are: {known}"))
}

/// A file's text.
pub fn load(path: &Path, shown: &str) -> Result<String, Complaint> {
    fs::read_to_string(path).map_err(|wrong| {
        Complaint::new(format!("{shown} cannot be read: {wrong}"), "it has to be UTF-8 text")
    })
}

/// The same complaint, with the name of the file.
pub fn in_file(wrong: Complaint, file: &str) -> Complaint {
    Complaint::new(format!("{file}: {}", wrong.what), wrong.remedy)
}
