//! `{{#exercises DAY}}`: the exercises of a day, each with its title, minutes, kernel and brief.

use super::brief::lowered;
use super::chapter;
use super::sources::{Sources, Wrong, in_file, load};
use crate::exercises::{of_day, table};
use crate::output;
use crate::paths::name;
use crate::problem::{Complaint, Problem};

/// A brief without its title, its other headings one level lower.
pub fn body(brief: &str) -> Result<String, Complaint> {
    let rest = match brief.split_once('\n') {
        Some((first, rest)) if first.starts_with("# ") => rest,
        _ => {
            return Err(Complaint::new(
                "the brief does not begin with its title",
                "make its first line `# Title`",
            ));
        }
    };
    lowered(rest, 1)
}

/// `{{#exercises DAY}}`: a table of them, then one after the other.
pub fn directive(sources: &Sources<'_>, day: &str) -> Result<String, Wrong> {
    let (exercises, unfinished) = of_day(sources.root, day)?;
    for why in unfinished {
        output::aside(&format!("left out: {why}"));
    }
    let mut out = table(&exercises);
    let mut problems = Vec::new();
    for exercise in &exercises {
        let path = exercise.folder.join("brief.md");
        let file = name(sources.root, &path);
        let brief = load(&path, &file)?;
        let body = body(&brief).map_err(|wrong| in_file(wrong, &file))?;
        out.push_str(&format!("\n{}\n", exercise.head()));
        let (text, wrong) = chapter(sources, &file, &exercise.folder, &body);
        out.push_str(text.trim_start_matches('\n'));
        // Where `book serve` shows the progress of the reader's program.
        out.push_str(&format!("\n<div data-exercise=\"{}\"></div>\n", exercise.name));
        // The title's line is not in the body.
        let counted = |it: Problem| Problem { line: it.line.map(|line| line + 1), ..it };
        problems.extend(wrong.into_iter().map(counted));
    }
    if problems.is_empty() { Ok(out) } else { Err(Wrong::Elsewhere(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_loses_its_title() {
        assert_eq!(body("# One\n\nDo it.\n\n## Two\n").unwrap(), "\nDo it.\n\n### Two\n");
        assert!(body("Do it.\n").is_err());
    }
}
