//! `{{#transcript NAME}}` shows a transcript, `{{#quote NAME "text"}}` one of its lines.

use super::sources::{Sources, in_file, read};
use crate::markup;
use crate::problem::Complaint;
use crate::transcript::Transcript;

/// The transcript of that name.
fn named(sources: &Sources<'_>, name: &str) -> Result<Transcript, Complaint> {
    let (file, text) = read(sources, "transcripts", name, "txt")?;
    Transcript::parse(&text).map_err(|(line, wrong)| in_file(wrong, &format!("{file}:{line}")))
}

/// `{{#transcript NAME}}`. The name is for `book serve`, where the page can run it.
pub fn directive(sources: &Sources<'_>, name: &str) -> Result<String, Complaint> {
    let block = markup::fenced("console", &named(sources, name)?.shown);
    let name = markup::html(name);
    Ok(format!("<div class=\"transcript\" data-transcript=\"{name}\">\n\n{block}\n\n</div>"))
}

/// `{{#quote NAME "text"}}`.
pub fn quote(sources: &Sources<'_>, arguments: &str) -> Result<String, Complaint> {
    let parsed = arguments
        .split_once(char::is_whitespace)
        .and_then(|(name, text)| Some((name, text.trim().strip_prefix('"')?.strip_suffix('"')?)));
    let (name, text) = parsed.filter(|(_, text)| !text.is_empty()).ok_or_else(|| {
        Complaint::new(
            format!("`{{{{#quote {arguments}}}}}` is not complete"),
            "write {{#quote TRANSCRIPT \"words of the line\"}}",
        )
    })?;
    Ok(markup::code(&named(sources, name)?.line_with(text)?))
}
