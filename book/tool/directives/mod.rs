//! Replaces the directives of a chapter: one file for each directive.
//!
//! [`mod@include`], [`transcript`] (with `quote`), [`count`], [`ring`], [`figure`], [`catalog`],
//! [`brief`], [`exercises`], [`plan`] (with `total`), [`atlas`], [`atlas_table`],
//! [`atlas_errors`], [`answers`], [`choose`], [`map`], [`symptoms`].

mod answers;
mod atlas;
mod atlas_errors;
mod atlas_table;
mod brief;
mod catalog;
mod choose;
mod count;
mod exercises;
mod figure;
mod include;
mod map;
mod plan;
mod ring;
mod sources;
mod symptoms;
mod transcript;

pub use self::sources::Sources;

use std::path::Path;

use self::sources::{Wrong, in_file, indented, read};
use crate::problem::{Complaint, Problem};
use crate::scan::{self, Block, Directive, Inside};

/// The names of the directives, for messages.
const DIRECTIVES: &str = "include, transcript, quote, count, ring, figure, catalog, brief, exercises, plan, total, \
     atlas, atlas-table, atlas-errors, symptoms, choose, map, answers";

/// The chapter's text with its directives resolved, and what is wrong with it. A directive that
/// cannot be resolved leaves nothing, so that the rest of the page can be judged. `file` is its path
/// from the workspace's root; `folder` is what the paths in it are counted from.
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
