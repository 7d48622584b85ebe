//! `{{#brief DAY NAME}}`: the brief of one exercise, as part of a page.

use super::chapter;
use super::sources::{Sources, Wrong, in_file, load};
use crate::problem::Complaint;

/// A brief with every heading some levels lower. Code blocks stay unchanged.
pub fn lowered(text: &str, by: usize) -> Result<String, Complaint> {
    let mut out = String::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let start = line.trim_start();
        let marks = &start[..start.len() - start.trim_start_matches(['`', '~']).len()];
        match fence {
            Some(open) if marks.starts_with(open) && start.trim_end() == marks => fence = None,
            None if marks.len() >= 3 => fence = Some(marks),
            None if is_heading(line) => {
                let level = line.len() - line.trim_start_matches('#').len();
                if level + by > 6 {
                    return Err(Complaint::new(
                        format!("the heading `{line}` cannot be lowered: there are six levels"),
                        "a brief has headings of four levels at most",
                    ));
                }
                out.push_str(&"#".repeat(by));
            }
            _ => {}
        }
        out.push_str(line);
        out.push('\n');
    }
    Ok(out)
}

/// Whether a line is a heading: up to six `#` and a space.
fn is_heading(line: &str) -> bool {
    let text = line.trim_start_matches('#');
    text.len() < line.len() && line.len() - text.len() <= 6 && text.starts_with(' ')
}

/// `{{#brief DAY NAME}}`.
pub fn directive(sources: &Sources<'_>, arguments: &str) -> Result<String, Wrong> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let &[day, name] = words.as_slice() else {
        return Err(Complaint::new(
            format!("`{{{{#brief {arguments}}}}}` names no exercise"),
            "write {{#brief day01 first_nop}}",
        )
        .into());
    };
    let file = format!("{day}/exercises/{name}/brief.md");
    let path = sources.root.join(&file);
    if !path.is_file() {
        return Err(Complaint::new(
            format!("there is no file {file}"),
            "cargo xtask exercise list",
        )
        .into());
    }
    let text = lowered(&load(&path, &file)?, 2).map_err(|wrong| in_file(wrong, &file))?;
    let folder = path.parent().unwrap_or(sources.root);
    match chapter(sources, &file, folder, &text) {
        (text, problems) if problems.is_empty() => Ok(text),
        (_, problems) => Err(Wrong::Elsewhere(problems)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_lowered_and_code_is_not() {
        let text = "# One\n#tag\n```text\n# no heading\n```\n## Two\n";
        assert_eq!(
            lowered(text, 2).unwrap(),
            "### One\n#tag\n```text\n# no heading\n```\n#### Two\n"
        );
        assert!(lowered("##### Five\n", 2).is_err());
    }
}
