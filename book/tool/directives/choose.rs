//! `{{#choose 8 | 16 * | 32}}`: the possible answers to the question above it. The star is behind the
//! right one. `theme/progress.js` makes buttons of them, which open the answer below.

use crate::markup;
use crate::problem::Complaint;

/// `{{#choose A | B * | C}}`.
pub fn directive(arguments: &str) -> Result<String, Complaint> {
    let choices: Vec<&str> = arguments.split('|').map(str::trim).collect();
    let right: Vec<usize> = (0..choices.len()).filter(|at| choices[*at].ends_with('*')).collect();
    let &[right] = right.as_slice() else {
        return Err(wrong(arguments, "exactly one answer must have a star behind it"));
    };
    if choices.len() < 2 || choices.iter().any(|it| it.trim_end_matches('*').trim().is_empty()) {
        return Err(wrong(arguments, "there must be two answers or more, and none empty"));
    }
    let buttons = choices.iter().map(|choice| {
        let words = markup::html(choice.trim_end_matches('*').trim());
        format!("<button type=\"button\" disabled>{words}</button>")
    });
    let buttons: Vec<String> = buttons.collect();
    Ok(format!("<p class=\"choose\" data-right=\"{right}\">{}</p>", buttons.join(" ")))
}

fn wrong(arguments: &str, what: &str) -> Complaint {
    Complaint::new(
        format!("`{{{{#choose {arguments}}}}}`: {what}"),
        "write {{#choose 8 | 16 * | 32}}",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_is_right() {
        let html = directive("8 | 16 * | <no>").unwrap();
        assert!(html.contains("data-right=\"1\""), "{html}");
        assert!(html.contains(">16</button>") && html.contains("&lt;no&gt;"), "{html}");
        for wrong in ["8 | 16", "8 * | 16 *", "8 *", "8 | *"] {
            assert!(directive(wrong).is_err(), "{wrong}");
        }
    }
}
