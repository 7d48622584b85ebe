//! Finds the code blocks and the directives of a chapter, as Markdown sees them.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::problem::Complaint;

/// A code block.
#[derive(Debug)]
pub struct Block {
    /// From its first fence to its last.
    pub range: Range<usize>,
    /// The line of its first fence, from 1.
    pub line: usize,
    /// The first word after the fence; `None` for a block that is only indented.
    pub language: Option<String>,
    /// Its content, without the quotation marks of a block quote.
    pub body: String,
}

/// Where a directive stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// In the text.
    Text,
    /// In the code block with this index.
    Block(usize),
    /// In `code` within a line.
    Span,
}

/// One `{{#name arguments}}`.
#[derive(Debug)]
pub struct Directive {
    /// All of it.
    pub range: Range<usize>,
    /// Its line, from 1.
    pub line: usize,
    /// The white space, list indentation and quotation marks of block quotes before it on its line;
    /// `None` if there is other text before or after it.
    pub alone: Option<String>,
    /// The word after `#`.
    pub name: String,
    /// The rest, without the white space around it.
    pub arguments: String,
    /// Where it stands.
    pub inside: Inside,
}

/// The code blocks and directives of a chapter.
#[derive(Debug, Default)]
pub struct Scan {
    /// In the order of the text.
    pub blocks: Vec<Block>,
    /// In the order of the text.
    pub directives: Vec<Directive>,
    /// The places of the backslash in `\{{#`, which is not shown.
    pub escapes: Vec<usize>,
    /// The lines of incomplete directives, and what is wrong with them.
    pub broken: Vec<(usize, Complaint)>,
}

/// The options that mdBook parses a chapter with, as far as they decide where code is.
fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM
}

/// Finds everything in `text`.
pub fn scan(text: &str) -> Scan {
    let (blocks, spans) = code(text);
    let comments = comments(text, &blocks, &spans);
    let mut found = Scan { blocks, ..Scan::default() };
    let mut from = 0;
    while let Some(at) = text[from..].find("{{#").map(|at| at + from) {
        from = at + 3;
        if comments.iter().any(|range| range.contains(&at)) {
            continue;
        }
        if text[..at].ends_with('\\') {
            found.escapes.push(at - 1);
            continue;
        }
        let line = line_of(text, at);
        match directive(text, at, line) {
            Ok(mut directive) => {
                from = directive.range.end;
                if let Some(index) = found.blocks.iter().position(|b| b.range.contains(&at)) {
                    directive.inside = Inside::Block(index);
                } else if spans.iter().any(|range| range.contains(&at)) {
                    directive.inside = Inside::Span;
                }
                found.directives.push(directive);
            }
            Err(complaint) => found.broken.push((line, complaint)),
        }
    }
    found
}

/// The code blocks and the places of code within lines.
fn code(text: &str) -> (Vec<Block>, Vec<Range<usize>>) {
    let (mut blocks, mut spans) = (Vec::<Block>::new(), Vec::new());
    let mut open = false;
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Indented => None,
                    CodeBlockKind::Fenced(info) => {
                        let word = info.split([' ', ',', '\t']).next().unwrap_or_default();
                        Some(word.to_owned())
                    }
                };
                let line = line_of(text, range.start);
                blocks.push(Block { range, line, language, body: String::new() });
                open = true;
            }
            Event::End(TagEnd::CodeBlock) => open = false,
            Event::Text(words) if open => {
                if let Some(block) = blocks.last_mut() {
                    block.body.push_str(&words);
                }
            }
            Event::Code(_) => spans.push(range),
            _ => {}
        }
    }
    (blocks, spans)
}

/// The places of HTML comments outside code.
fn comments(text: &str, blocks: &[Block], spans: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut comments = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("<!--").map(|at| at + from) {
        from = at + 4;
        let in_code = blocks.iter().any(|block| block.range.contains(&at))
            || spans.iter().any(|range| range.contains(&at));
        if !in_code {
            let end = text[from..].find("-->").map_or(text.len(), |end| from + end + 3);
            comments.push(at..end);
            from = end;
        }
    }
    comments
}

/// The directive that begins at `at`.
fn directive(text: &str, at: usize, line: usize) -> Result<Directive, Complaint> {
    let rest = &text[at..];
    let end_of_line = rest.find('\n').unwrap_or(rest.len());
    let Some(length) = rest[..end_of_line].find("}}") else {
        return Err(Complaint::new(
            format!("the directive `{}` has no end", rest[..end_of_line].trim_end()),
            "close it with `}}` on the same line; to show it as it stands, write `\\{{#`",
        ));
    };
    let range = at..at + length + 2;
    let words = rest[3..length].trim();
    let (name, arguments) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    let start_of_line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let before = &text[start_of_line..at];
    let after = &text[range.end..at + end_of_line];
    let alone = before.chars().all(|c| c.is_whitespace() || c == '>') && after.trim().is_empty();
    Ok(Directive {
        range,
        line,
        alone: alone.then(|| before.to_owned()),
        name: name.to_owned(),
        arguments: arguments.trim().to_owned(),
        inside: Inside::Text,
    })
}

/// The line of a place in the text, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_language_and_text() {
        let text = "a\n\n```rust,ignore\none\n```\n\n> ```text\n> two\n> ```\n\n    three\n";
        let found = scan(text);
        let told: Vec<_> = found
            .blocks
            .iter()
            .map(|block| (block.line, block.language.as_deref(), block.body.as_str()))
            .collect();
        assert_eq!(
            told,
            [(3, Some("rust"), "one\n"), (7, Some("text"), "two\n"), (11, None, "three\n")]
        );
    }

    #[test]
    fn directives_have_their_place() {
        let text = "see {{#count nop enters}} of\n> {{#ring nop}}\n\n`{{#x}}` \\{{#y}} <!-- {{#z}} -->\n\n```rust\n{{#include a:b}}\n```\n";
        let found = scan(text);
        let told: Vec<_> = found
            .directives
            .iter()
            .map(|d| (d.line, d.name.as_str(), d.arguments.as_str(), d.alone.as_deref(), d.inside))
            .collect();
        assert_eq!(
            told,
            [
                (1, "count", "nop enters", None, Inside::Text),
                (2, "ring", "nop", Some("> "), Inside::Text),
                (4, "x", "", None, Inside::Span),
                (7, "include", "a:b", Some(""), Inside::Block(0)),
            ]
        );
        assert_eq!(found.escapes.len(), 1);
        assert!(found.broken.is_empty());
    }

    #[test]
    fn a_directive_without_an_end_is_told() {
        let found = scan("one\n{{#ring nop\n}}\n");
        assert_eq!(found.broken.len(), 1);
        assert_eq!(found.broken[0].0, 2);
        assert!(found.broken[0].1.what.contains("{{#ring nop"), "{:?}", found.broken);
    }
}
