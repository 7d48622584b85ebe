//! `{{#include path:anchor}}`: a passage of a source file.

use std::path::{Path, PathBuf};

use super::sources::{Sources, indented, load};
use crate::markup;
use crate::passage::{self, is_name};
use crate::paths::{name, normal};
use crate::problem::Complaint;
use crate::scan::{Block, Directive, Inside};

/// A file and the anchor in it, as `{{#include path:anchor}}` names them.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The path, from the chapter.
    pub path: &'a str,
    /// The anchor; `None` for the whole file.
    pub anchor: Option<&'a str>,
}

/// Reads the words after `#include`.
pub fn wanted(arguments: &str) -> Result<Wanted<'_>, Complaint> {
    let (path, anchor) = match arguments.split_once(':') {
        Some((path, anchor)) => (path.trim(), Some(anchor.trim())),
        None => (arguments, None),
    };
    if path.is_empty() || path.contains(char::is_whitespace) {
        return Err(Complaint::new(
            format!("`{{{{#include {arguments}}}}}` names no file"),
            "write {{#include ../../day03/src/server.rs:accept}}",
        ));
    }
    match anchor {
        Some(anchor) if anchor.is_empty() || !anchor.chars().all(is_name) => {
            Err(by_lines(path, anchor))
        }
        Some(anchor) if anchor.chars().all(|c| c.is_ascii_digit()) => Err(by_lines(path, anchor)),
        _ => Ok(Wanted { path, anchor }),
    }
}

/// Refuses line numbers: they change with every edit.
fn by_lines(path: &str, lines: &str) -> Complaint {
    Complaint::new(
        format!("`{path}:{lines}` is not an anchor: a listing is not cut by line numbers"),
        "put `// ANCHOR: name` and `// ANCHOR_END: name` round the passage, and write the name \
         after the colon",
    )
}

/// The file of `path` in a chapter of the folder `from`. It must lie in the workspace.
pub fn file(root: &Path, from: &Path, path: &str) -> Result<PathBuf, Complaint> {
    let file = normal(&from.join(path));
    if !file.starts_with(normal(root)) {
        return Err(Complaint::new(
            format!("`{path}` lies outside the workspace"),
            "cite a file of the workspace: its path is counted from the chapter's folder",
        ));
    }
    if !file.is_file() {
        return Err(Complaint::new(
            format!("there is no file {}", name(root, &file)),
            format!("`{path}` is counted from {}/", name(root, from)),
        ));
    }
    Ok(file)
}

/// `{{#include path:anchor}}`.
pub fn directive(
    sources: &Sources<'_>,
    folder: &Path,
    arguments: &str,
    block: &Block,
    prefix: &str,
) -> Result<String, Complaint> {
    let wanted = wanted(arguments)?;
    let file = file(sources.root, folder, wanted.path)?;
    let shown = name(sources.root, &file);
    let rust = file.extension().is_some_and(|extension| extension == "rs");
    if block.language.as_deref() == Some("rust") && !rust {
        return Err(Complaint::new(
            format!("{shown} is not a Rust file"),
            "give the block the language of the file",
        ));
    }
    let text = load(&file, &shown)?;
    let passage = passage::cut(&text, wanted.anchor, &shown)?;
    if passage.lines().any(|line| line.trim_start().starts_with("```")) {
        return Err(Complaint::new(
            format!("the passage of {shown} would end the code block"),
            "cut it elsewhere",
        ));
    }
    Ok(indented(&if rust { visible(&passage) } else { passage }, prefix))
}

/// mdBook hides a Rust line that begins with `# `. A second `#` keeps it.
pub fn visible(passage: &str) -> String {
    let hidden = |line: &str| {
        let line = line.trim_start();
        line == "#" || line.starts_with("# ") || line.starts_with("##")
    };
    passage
        .lines()
        .map(|line| if hidden(line) { line.replacen('#', "##", 1) } else { line.to_owned() } + "\n")
        .collect()
}

/// Names above a listing the files that it is cut from; nothing within a list or a quotation.
pub fn source(
    sources: &Sources<'_>,
    folder: &Path,
    directives: &[Directive],
    block: usize,
) -> Option<String> {
    let mut files: Vec<String> = Vec::new();
    for directive in directives.iter().filter(|d| d.inside == Inside::Block(block)) {
        let path = wanted(&directive.arguments).ok()?.path;
        let file = name(sources.root, &folder.join(path));
        if directive.alone.as_deref() != Some("") {
            return None;
        }
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let files = markup::html(&files.join(", "));
    (!files.is_empty()).then(|| format!("\n<div class=\"listing-source\">{files}</div>\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_are_refused() {
        for lines in ["a.rs:10:20", "a.rs:10", "a.rs::20", "a.rs:10:", "a.rs:"] {
            let complaint = wanted(lines).unwrap_err();
            assert!(complaint.what.contains("line numbers"), "{lines}: {complaint:?}");
        }
        assert_eq!(wanted("a.rs:b").unwrap(), Wanted { path: "a.rs", anchor: Some("b") });
        assert_eq!(wanted("a.rs").unwrap(), Wanted { path: "a.rs", anchor: None });
        assert!(wanted("").is_err());
    }
}
