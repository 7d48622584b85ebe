//! `book.toml`, read strictly. mdBook drops all of `[output.html]` when one name in it is misspelt,
//! and builds a book that looks different.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use mdbook_driver::config::{Config, HtmlConfig};

use crate::paths::name;
use crate::problem::Problem;

/// The configuration of the book in `folder`.
pub fn load(root: &Path, folder: &Path) -> Result<Config, Vec<Problem>> {
    let path = folder.join("book.toml");
    let file = name(root, &path);
    let text = fs::read_to_string(&path).map_err(|wrong| {
        vec![Problem::of(&file, format!("cannot be read: {wrong}"), "the book's folder has one")]
    })?;
    let config = Config::from_str(&text).map_err(|wrong| vec![refused(&file, &text, &wrong)])?;
    strict(&file, &text, &config)?;
    Ok(config)
}

/// The tables that mdBook does not check itself, and the values that this book depends on.
fn strict(file: &str, text: &str, config: &Config) -> Result<(), Vec<Problem>> {
    let html = match config.get::<HtmlConfig>("output.html") {
        Ok(html) => html.unwrap_or_default(),
        Err(wrong) => return Err(vec![refused(file, text, &wrong)]),
    };
    let mut problems = Vec::new();
    let mut demand = |right: bool, key: &str, what: &str, remedy: &str| {
        if !right {
            problems
                .push(Problem { line: line_with(text, key), ..Problem::of(file, what, remedy) });
        }
    };
    demand(
        !html.playground.runnable,
        "runnable",
        "Rust blocks would be sent to the playground, and every page would call it",
        "[output.html.playground]\nrunnable = false",
    );
    demand(
        !html.mathjax_support,
        "mathjax-support",
        "every page would load MathJax from the network",
        "take `mathjax-support` out",
    );
    demand(
        !config.build.create_missing,
        "create-missing",
        "a chapter that is not there would be made up, empty",
        "[build]\ncreate-missing = false",
    );
    demand(
        !config.build.use_default_preprocessors,
        "use-default-preprocessors",
        "mdBook would resolve what is left of the directives, without a word about mistakes",
        "[build]\nuse-default-preprocessors = false",
    );
    demand(
        html.print.enable && html.search.as_ref().is_none_or(|search| search.enable),
        "enable",
        "the book would come without its search or its page to print",
        "leave `enable = true` in [output.html.search] and [output.html.print]",
    );
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A configuration that mdBook rejects.
fn refused(file: &str, text: &str, wrong: &mdbook_driver::errors::Error) -> Problem {
    let reason = format!("{wrong:#}");
    let key = reason.split('`').skip(1).step_by(2).find_map(|word| line_with(text, word));
    Problem {
        line: key,
        ..Problem::of(
            file,
            reason.trim().to_owned(),
            "mdBook knows no such setting: see its guide, \"Configuration\"",
        )
    }
}

/// The line of a setting.
fn line_with(text: &str, key: &str) -> Option<usize> {
    text.lines().position(|line| line.trim_start().starts_with(key)).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = include_str!("../book.toml");

    fn told(text: &str) -> String {
        let config = match Config::from_str(text) {
            Ok(config) => config,
            Err(wrong) => return refused("book.toml", text, &wrong).to_string(),
        };
        match strict("book.toml", text, &config) {
            Ok(()) => String::new(),
            Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
        }
    }

    #[test]
    fn the_book_s_own_is_right() {
        assert_eq!(told(RIGHT), "");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (right, wrong, word) in [
            ("default-theme = ", "defualt-theme = ", "defualt-theme"),
            ("create-missing = ", "create-mising = ", "create-mising"),
            ("copyable = true", "copiable = true", "copiable"),
            ("runnable = false", "runnable = true", "playground"),
            ("create-missing = false", "create-missing = true", "made up"),
            (
                "use-default-preprocessors = false",
                "use-default-preprocessors = true",
                "without a word",
            ),
            ("smart-punctuation = false", "mathjax-support = true", "MathJax"),
            ("[output.html.print]\nenable = true", "[output.html.print]\nenable = false", "print"),
        ] {
            let text = RIGHT.replacen(right, wrong, 1);
            assert_ne!(text, RIGHT, "{right}");
            let told = told(&text);
            assert!(told.contains(word), "{wrong}: {told}");
            assert!(told.starts_with("book.toml:"), "{wrong}: {told}");
        }
    }
}
