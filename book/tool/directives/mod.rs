//! Replaces the directives of a chapter: one file for each directive.
//!
//! [`mod@include`], [`transcript`] (with `quote`), [`count`], [`ring`], [`figure`], [`catalog`],
//! [`brief`], [`exercises`], [`plan`] (with `total`), [`atlas`], [`atlas_table`],
//! [`atlas_errors`], [`answers`], [`choose`], [`map`], [`symptoms`].

pub mod exercises;
pub mod include;

mod answers;
mod atlas;
mod atlas_errors;
mod atlas_table;
mod brief;
mod catalog;
mod choose;
mod count;
mod figure;
mod map;
mod plan;
mod ring;
mod symptoms;
mod transcript;

use std::fs;
use std::path::{Path, PathBuf};

use crate::pages::Page;
use crate::problem::{Complaint, Problem};
use crate::scan::{self, Block, Directive, Inside};

/// What every directive can use.
pub struct Sources<'a> {
    /// The workspace.
    pub root: &'a Path,
    /// The book's folder.
    pub book: &'a Path,
    /// All pages.
    pub pages: &'a [Page],
}

/// The names of the directives, for messages.
const DIRECTIVES: &str = "include, transcript, quote, count, ring, figure, catalog, brief, exercises, plan, total, \
     atlas, atlas-table, atlas-errors, symptoms, choose, map, answers";

/// The chapter's text with its directives resolved, and what is wrong with it. A directive that
/// cannot be resolved leaves nothing, so that the rest of the page can be judged. `file` is its path from the workspace's root;
/// `folder` is what the paths in it are counted from.
pub fn chapter(
    sources: &Sources<'_>,
    file: &str,
    folder: &Path,
    text: &str,
) -> (String, Vec<Problem>) {
    let found = scan::scan(text);
    let mut problems: Vec<Problem> =
        found.broken.iter().map(|(line, wrong)| wrong.clone().at(file, *line)).collect();
    for (index, block) in found.blocks.iter().enumerate() {
        if let Err(wrong) = check_block(index, block, &found.directives) {
            problems.push(wrong.at(file, block.line));
        }
    }
    let mut edits: Vec<(std::ops::Range<usize>, String)> =
        found.escapes.iter().map(|at| (*at..*at + 1, String::new())).collect();
    for directive in &found.directives {
        match resolve(sources, folder, directive, &found.blocks) {
            Ok(text) => edits.push((directive.range.clone(), text)),
            Err(wrong) => {
                edits.push((directive.range.clone(), String::new()));
                match wrong {
                    Wrong::Here(wrong) => problems.push(wrong.at(file, directive.line)),
                    Wrong::Elsewhere(more) => problems.extend(more),
                }
            }
        }
    }
    problems.sort_by_key(|problem| problem.line);
    edits.extend(found.blocks.iter().enumerate().filter_map(|(index, block)| {
        let at = block.range.start;
        let source = include::source(sources, folder, &found.directives, index)?;
        Some((at..at, source))
    }));
    edits.sort_by_key(|(range, _)| range.start);
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (range, new) in edits {
        out.push_str(&text[from..range.start]);
        out.push_str(&new);
        from = range.end;
    }
    out.push_str(&text[from..]);
    (out, problems)
}

/// Checks that a code block has a language, and that Rust is cut from a file.
fn check_block(index: usize, block: &Block, directives: &[Directive]) -> Result<(), Complaint> {
    let Some(language) = &block.language else {
        return Err(Complaint::new(
            "a code block by indentation alone",
            "put it between ```text and ```, or begin its lines further to the left",
        ));
    };
    let rust = match language.to_ascii_lowercase().as_str() {
        "" => {
            return Err(Complaint::new(
                "a code block that does not say what it holds",
                "write ```console, ```c, ```text or whatever it is; ```rust is for listings by \
                 {{#include}}",
            ));
        }
        "rust" | "rs" => true,
        _ => false,
    };
    let only_includes = || {
        block.body.lines().map(str::trim).all(|line| {
            line.is_empty() || (line.starts_with("{{#include ") && line.ends_with("}}"))
        })
    };
    let includes = directives.iter().filter(|d| d.inside == Inside::Block(index)).count();
    if rust && (language != "rust" || includes == 0 || !only_includes()) {
        return Err(Complaint::new(
            "Rust that no compiler has seen",
            "in ```rust put nothing but {{#include path:anchor}}, so that the listing is cut from \
             the code that runs; what is not a program goes into ```text",
        ));
    }
    Ok(())
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

/// The text in place of a directive.
fn resolve(
    sources: &Sources<'_>,
    folder: &Path,
    directive: &Directive,
    blocks: &[Block],
) -> Result<String, Wrong> {
    let arguments = directive.arguments.as_str();
    if let Inside::Block(index) = directive.inside {
        if directive.name != "include" {
            return Err(out_of_place(directive, "outside code blocks").into());
        }
        let prefix = alone(directive)?;
        return Ok(include::directive(sources, folder, arguments, &blocks[index], prefix)?);
    }
    if directive.inside == Inside::Span {
        return Err(out_of_place(directive, "outside `code`: it brings its own").into());
    }
    let text = match directive.name.as_str() {
        "count" => return Ok(count::directive(sources, arguments)?),
        "quote" => return Ok(transcript::quote(sources, arguments)?),
        "total" => return Ok(plan::total(sources.pages, arguments)?.to_string()),
        "include" => return Err(out_of_place(directive, "within ```rust and ```").into()),
        "transcript" => transcript::directive(sources, arguments)?,
        "ring" => {
            let (file, json) = read(sources, "traces", arguments, "json")?;
            ring::html(arguments, &json).map_err(|wrong| in_file(wrong, &file))?
        }
        "figure" => {
            let (file, svg) = read(sources, "figures", arguments, "svg")?;
            figure::html(arguments, &svg).map_err(|wrong| in_file(wrong, &file))?
        }
        "catalog" => catalog::table(arguments)?,
        "plan" => plan::plan(sources.pages),
        "brief" => brief::directive(sources, arguments)?,
        "atlas" => atlas::directive(sources, arguments)?,
        "atlas-table" => atlas_table::directive(sources, arguments)?,
        "atlas-errors" => atlas_errors::directive(sources, arguments)?,
        "answers" => answers::directive(sources, arguments)?,
        "exercises" => exercises::directive(sources, arguments)?,
        "choose" => choose::directive(arguments)?,
        "map" => map::directive(sources.pages),
        "symptoms" => symptoms::directive(sources, arguments)?,
        other => {
            return Err(Complaint::new(
                format!("there is no directive `{other}`"),
                format!("there are: {DIRECTIVES}; to show it as it stands, write `\\{{{{#`"),
            )
            .into());
        }
    };
    Ok(indented(&text, alone(directive)?))
}

/// A complaint about a directive in a place where it has no meaning.
fn out_of_place(directive: &Directive, where_to: &str) -> Complaint {
    Complaint::new(
        format!("`{{{{#{}}}}}` stands where it has no meaning", directive.name),
        format!("put it {where_to}; to show it as it stands, write `\\{{{{#`"),
    )
}

/// The prefix of a directive that must be alone on its line.
fn alone(directive: &Directive) -> Result<&str, Complaint> {
    directive.alone.as_deref().ok_or_else(|| {
        Complaint::new(
            format!("`{{{{#{}}}}}` shares its line", directive.name),
            "give it its own line, with an empty line before and after",
        )
    })
}

/// `text` with `prefix` before every line but the first, which has it already.
fn indented(text: &str, prefix: &str) -> String {
    let lines: Vec<&str> = text.trim_end_matches('\n').lines().collect();
    lines.join(&format!("\n{prefix}"))
}

/// A file by its name: its path for messages, and its text.
fn read(
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
fn load(path: &Path, shown: &str) -> Result<String, Complaint> {
    fs::read_to_string(path).map_err(|wrong| {
        Complaint::new(format!("{shown} cannot be read: {wrong}"), "it has to be UTF-8 text")
    })
}

/// The same complaint, with the name of the file.
fn in_file(wrong: Complaint, file: &str) -> Complaint {
    Complaint::new(format!("{file}: {}", wrong.what), wrong.remedy)
}
