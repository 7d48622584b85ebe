//! `{{#answers NAME}}`: the kernels' answers to the program NAME of a chapter, one question a row.
//! `{{#answers NAME "words"}}`: only the questions that begin with these words, without them.
//!
//! The answers are in `book/answers/NAME/linux_6_1.txt`, one file a kernel, which `cargo xtask kernels
//! --answers --record` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use common::catalog::Kernel;

use super::sources::{Sources, in_file, load};
use crate::markup;
use crate::problem::Complaint;

/// The kernel that the book describes; its answers have their own column.
const HERE: Kernel = match Kernel::parse("6.18") {
    Some(kernel) => kernel,
    None => panic!("a release"),
};

/// The questions and answers of one kernel, in order.
type Lines = Vec<(String, String)>;

/// `{{#answers NAME "words"}}`.
pub fn directive(sources: &Sources<'_>, arguments: &str) -> Result<String, Complaint> {
    let (name, words) = match arguments.split_once(char::is_whitespace) {
        Some((name, words)) => (name, quoted(words)?),
        None => (arguments, ""),
    };
    let all = read(sources, name)?;
    let Some(here) = all.get(&HERE) else {
        return Err(Complaint::new(
            format!("book/answers/{name} has no answers of Linux {HERE}"),
            format!("on Linux {HERE}, as root: {RECORD}"),
        ));
    };
    let others: Vec<(&Kernel, &Lines)> = all.iter().filter(|(it, _)| **it != HERE).collect();
    // A new question of a later kernel has answers only there.
    let mut seen = BTreeSet::new();
    let questions = here.iter().chain(others.iter().flat_map(|(_, lines)| *lines));
    let questions: Vec<&str> = questions
        .map(|(question, _)| question.as_str())
        .filter(|question| question.starts_with(words) && seen.insert(*question))
        .collect();
    if questions.is_empty() {
        return Err(Complaint::new(
            format!("no question in book/answers/{name} begins with `{words}`"),
            "leave the words out to see all questions",
        ));
    }
    let names: Vec<String> = others.iter().map(|(kernel, _)| kernel.to_string()).collect();
    let mut out =
        format!("| | Linux {HERE} | {}, where it differs |\n|---|---|---|\n", names.join(", "));
    for question in questions {
        let shown = markup::plain(question[words.len()..].trim_start_matches([' ', ',']));
        let right = answer(here, question);
        let differing = differing(&others, question, right);
        let _ = writeln!(out, "| {shown} | {} | {differing} |", in_words(right));
    }
    Ok(out)
}

const RECORD: &str = "cargo xtask kernels --answers --record";

/// The words between quotation marks.
fn quoted(words: &str) -> Result<&str, Complaint> {
    let inner = words.trim().strip_prefix('"').and_then(|words| words.strip_suffix('"'));
    inner.ok_or_else(|| {
        Complaint::new(
            format!("`{words}` are no words in quotation marks"),
            "write {{#answers PROGRAM \"words that the questions begin with\"}}",
        )
    })
}

/// The recordings of a program.
fn read(sources: &Sources<'_>, name: &str) -> Result<BTreeMap<Kernel, Lines>, Complaint> {
    let missing = || {
        let folder = fs::read_dir(sources.book.join("answers"));
        let names = folder.into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut names: Vec<String> = names.map(|it| it.to_string_lossy().into_owned()).collect();
        names.sort();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Complaint::new(
            format!("there is no folder book/answers/{name}"),
            format!(
                "an example of day04 whose name ends in _answers, then: {RECORD}\nthere are: {known}"
            ),
        )
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(missing());
    }
    let folder = fs::read_dir(sources.book.join("answers").join(name)).map_err(|_| missing())?;
    let mut all = BTreeMap::new();
    for path in folder.flatten().map(|entry| entry.path()) {
        let shown = crate::paths::name(sources.root, &path);
        let Some(kernel) = kernel_of(&path) else {
            return Err(Complaint::new(format!("{shown} is not named linux_6_1.txt"), RECORD));
        };
        let text = load(&path, &shown)?;
        let lines = text.lines().map(line).collect::<Result<_, _>>();
        all.insert(kernel, lines.map_err(|wrong| in_file(wrong, &shown))?);
    }
    Ok(all)
}

/// The release of `linux_6_1.txt`.
fn kernel_of(path: &Path) -> Option<Kernel> {
    let release = path.file_stem()?.to_str()?.strip_prefix("linux_")?.replace('_', ".");
    Kernel::parse(&release)
}

/// A question and its answer.
fn line(text: &str) -> Result<(String, String), Complaint> {
    let (question, answer) = text.split_once(": ").ok_or_else(|| {
        Complaint::new(format!("`{text}` is not QUESTION: ANSWER"), format!("record it: {RECORD}"))
    })?;
    Ok((question.to_owned(), answer.to_owned()))
}

fn answer<'a>(lines: &'a Lines, question: &str) -> Option<&'a str> {
    lines.iter().find(|(asked, _)| asked == question).map(|(_, answer)| answer.as_str())
}

/// An answer as it is shown.
fn in_words(answer: Option<&str>) -> String {
    match answer {
        None => "not asked".to_owned(),
        Some(answer) => match answer.strip_prefix('~') {
            Some(answer) => format!("{} <small>(varies)</small>", markup::plain(answer)),
            None => markup::plain(answer),
        },
    }
}

/// The kernels that answer differently, grouped by answer.
fn differing(others: &[(&Kernel, &Lines)], question: &str, right: Option<&str>) -> String {
    let varies = |answer: Option<&str>| answer.is_none_or(|answer| answer.starts_with('~'));
    let mut groups: Vec<(Option<&str>, Vec<String>)> = Vec::new();
    for (kernel, lines) in others {
        let answer = answer(lines, question);
        if answer == right || (varies(answer) && varies(right)) {
            continue;
        }
        match groups.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, kernels)) => kernels.push(kernel.to_string()),
            None => groups.push((answer, vec![kernel.to_string()])),
        }
    }
    let shown = |(answer, kernels): &(Option<&str>, Vec<String>)| {
        format!("{}: {}", kernels.join(", "), in_words(*answer))
    };
    groups.iter().map(shown).collect::<Vec<_>>().join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &str, files: &[(&str, &str)]) -> Result<String, Complaint> {
        let book = tempfile::tempdir().unwrap();
        let folder = book.path().join("answers/file_answers");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        directive(&Sources { root: book.path(), book: book.path(), pages: &[] }, arguments)
    }

    const FILES: [(&str, &str); 3] = [
        ("linux_6_18.txt", "READ, twice: a|b\nWRITE: 1\nSPLICE: ~3\n"),
        ("linux_5_10.txt", "READ, twice: old\nWRITE: 1\n"),
        ("linux_7_3.txt", "READ, twice: old\nWRITE: 2: 3\nSPLICE: ~3\nNEW: 1\n"),
    ];

    #[test]
    fn a_question_has_its_answer_and_the_kernels_that_differ() {
        let expected = "| | Linux 6.18 | 5.10, 7.3, where it differs |\n|---|---|---|\n\
            | READ&#44; twice | a&#124;b | 5.10, 7.3: old |\n\
            | WRITE | 1 | 7.3: 2&#58; 3 |\n\
            | SPLICE | 3 <small>(varies)</small> |  |\n\
            | NEW | not asked | 7.3: 1 |\n";
        assert_eq!(of("file_answers", &FILES[..]).unwrap(), expected);
    }

    #[test]
    fn the_questions_that_begin_with_words_are_shown_without_them() {
        let table = of("file_answers \"READ\"", &FILES).unwrap();
        assert!(
            table.ends_with("|---|---|---|\n| twice | a&#124;b | 5.10, 7.3: old |\n"),
            "{table}"
        );
        let wrong = of("file_answers \"FSYNC\"", &FILES).unwrap_err();
        assert_eq!(wrong.what, "no question in book/answers/file_answers begins with `FSYNC`");
        assert!(of("file_answers READ", &FILES).unwrap_err().what.contains("quotation marks"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        let told = |arguments: &str, files| of(arguments, files).unwrap_err();
        let wrong = told("time_answers", &FILES);
        assert_eq!(wrong.what, "there is no folder book/answers/time_answers");
        assert!(wrong.remedy.ends_with("there are: file_answers"), "{}", wrong.remedy);
        let wrong = told("file_answers", &FILES[1..]);
        assert_eq!(wrong.what, "book/answers/file_answers has no answers of Linux 6.18");
        let wrong = told("file_answers", &[("linux_6_18.txt", "READ\n")]);
        assert!(
            wrong.what.ends_with("linux_6_18.txt: `READ` is not QUESTION: ANSWER"),
            "{}",
            wrong.what
        );
        assert!(
            told("file_answers", &[("6.18.txt", "")]).what.ends_with("is not named linux_6_1.txt")
        );
    }
}
