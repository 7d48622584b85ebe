//! `cargo xtask exercise new`: makes the folder of a new exercise. The exercise compiles, its
//! starter fails with the stated id, and every place to fill in is marked TODO.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use common::text::WIDTH;

use super::book::has_place;
use super::exercises::{About, Exercise, WrongUsage};
use super::folders::{Folders, day_folder, free_name};
use super::ids;
use super::markdown;
use super::paint::Paint;
use super::variants::{self, PASSED};
use toolbox::output::say;

/// What to make, by the options.
#[derive(Args, Debug)]
pub struct Options {
    /// The name of the exercise and of its program: lower-case letters, digits and `_`
    name: String,

    /// The day of the exercise; 5 is for the chapters after the four days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5))]
    day: u32,
}

/// Each file, and what it is for.
const FILES: [(&str, &str, &str); 9] = [
    ("brief.md", include_str!("template/brief.md"), "what to do, and when it is passed"),
    ("solution.rs", include_str!("template/solution.rs"), "your answer"),
    ("starter.rs", include_str!("template/starter.rs"), "the same without what the learner writes"),
    (
        "check.toml",
        include_str!("template/check.toml"),
        "how it is run, and what the result must be",
    ),
    ("hints.md", include_str!("template/hints.md"), "a question, a pointer, nearly the code"),
    (
        "variants.toml",
        include_str!("template/variants.toml"),
        "wrong answers, and other right ones",
    ),
    (
        "exercise.toml",
        include_str!("template/exercise.toml"),
        "title, minutes, page, the starter's id",
    ),
    ("wrong/empty.rs", include_str!("template/empty.rs"), ""),
    ("wrong/hard_coded.rs", include_str!("template/hard_coded.rs"), ""),
];

/// The longest title, in letters, for which the list has room.
const LONGEST_TITLE: usize = 43;

/// The fewest wrong answers of a finished exercise.
const WRONG_ANSWERS: usize = 4;

/// Makes the folder, in the day's folder or in the named one.
///
/// # Errors
/// If the name is not free, or a file cannot be written.
pub fn main(options: &Options, folders: &Folders, workspace: &Path) -> Result<bool> {
    let Options { name, day } = options;
    free_name(workspace, name).map_err(|error| WrongUsage::error(format!("{error:#}")))?;
    let parent = match folders.named() {
        [] => workspace.join(day_folder(*day)),
        [folder] => folder.clone(),
        _ => return Err(WrongUsage::error("name one folder for a new exercise".to_string())),
    };
    let folder = parent.join(name);
    if folder.exists() {
        let there = folder.display();
        return Err(WrongUsage::error(format!("{there} exists already; nothing was changed")));
    }
    if parent.join("exercise.toml").is_file() {
        let parent = parent.display();
        return Err(WrongUsage::error(format!(
            "{parent} is an exercise itself; name the folder around it"
        )));
    }
    let order = next_order(folders, workspace, *day);
    for (file, template, _) in FILES {
        let mut text = template
            .replace("NAME", name)
            .replace("ORDER", &order.to_string())
            .replace("DAY", &day.to_string());
        if file == "exercise.toml" && !folders.named().is_empty() {
            text = text.replace("order =", &format!("day = {day}\norder ="));
        }
        let path = folder.join(file);
        let made = fs::create_dir_all(path.parent().unwrap_or(&folder));
        made.and_then(|()| fs::write(&path, text))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    say(&page(name, &folder, folders))?;
    Ok(true)
}

/// What to fill in.
fn page(name: &str, folder: &Path, folders: &Folders) -> String {
    let mut page = format!(
        "{}\n\nIt compiles, and its starter fails with E-NO-ENTRY. Fill in each TODO:\n\n",
        folder.display()
    );
    for (file, _, what) in FILES.iter().filter(|(_, _, what)| !what.is_empty()) {
        page.push_str(&format!("  {file:<15}{what}\n"));
    }
    let option = folders.options();
    page.push_str(&format!(
        "\n`cargo xtask exercise verify {name}{option}`\nsays what is missing. The book's page \
         Writing an exercise explains each file."
    ));
    page
}

/// The first free number in the day's order.
fn next_order(folders: &Folders, workspace: &Path, day: u32) -> u32 {
    let there = folders.look(workspace).map(|(exercises, _)| exercises).unwrap_or_default();
    let orders = there.iter().filter(|exercise| exercise.day == day).map(|it| it.about.order);
    orders.max().unwrap_or(0) + 1
}

/// What an exercise lacks, one line each.
///
/// # Errors
/// If a file cannot be read.
pub fn lacks(exercise: &Exercise, workspace: &Path) -> Result<Vec<String>> {
    let mut lacks = Vec::new();
    let read = |file: &str| -> Result<String> {
        let path: PathBuf = exercise.folder.join(file);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    for (file, ..) in
        FILES.iter().filter(|(file, ..)| !["starter.rs", "variants.toml"].contains(file))
    {
        // An exercise may have its check in Rust, and its wrong answers as edits.
        let text = read(file).unwrap_or_default();
        if let Some(line) = text.lines().position(|line| line.contains("TODO")) {
            lacks.push(format!("{file}, line {}: there is a TODO", line + 1));
        }
    }
    let hints = exercise.hints().unwrap_or_else(|error| {
        lacks.push(format!("{error:#}; write `## 1`, `## 2` and `## 3`"));
        Vec::new()
    });
    if let Some(at) = hints.iter().position(String::is_empty) {
        lacks.push(format!("hints.md: there is no text under `## {}`", at + 1));
    }
    let brief = exercise.brief()?;
    let About { title, book, .. } = &exercise.about;
    if brief.lines().next() != Some(&format!("# {title}")) {
        lacks.push(format!("brief.md: its first line is not `# {title}`, as in exercise.toml"));
    }
    if title.chars().count() > LONGEST_TITLE {
        lacks.push(format!("exercise.toml: the title has more than {LONGEST_TITLE} letters"));
    }
    if !has_place(workspace, book) {
        lacks.push(format!("exercise.toml: the book has no place {book}"));
    }
    // Prose must be wrapped; code need not.
    let shown = |text: &str| markdown::page(text, WIDTH, Paint::default());
    for (file, text) in [
        ("brief.md", shown(&brief)),
        ("hints.md", shown(&hints.join("\n\n"))),
        ("starter.rs", read("starter.rs")?),
        ("solution.rs", read("solution.rs")?),
    ] {
        if let Some(line) = text.lines().find(|line| line.chars().count() > WIDTH) {
            lacks.push(format!("{file}: more than {WIDTH} columns: {}", line.trim()));
        }
    }
    let starter = &exercise.about.starter;
    if ids::by_name(starter).is_none() {
        lacks.push(format!(
            "exercise.toml: {starter} is not an id of xtask/grader/src/exercise/ids.rs"
        ));
    }
    if exercise.about.par.is_none() {
        lacks.push("exercise.toml: `par`, the cost of the solution, is missing".to_string());
    }
    let variants = variants::of(exercise)?;
    let wrong = || variants.iter().filter(|variant| variant.expect != PASSED);
    for must in ["empty", "hard_coded"] {
        if !wrong().any(|wrong| wrong.name == must) {
            lacks.push(format!("variants.toml: no wrong answer is called {must}"));
        }
    }
    let count = wrong().count();
    if count < WRONG_ANSWERS {
        lacks.push(format!("variants.toml: {count} wrong answers; write {WRONG_ANSWERS} or more"));
    }
    Ok(lacks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::folders::load;
    use toolbox::programs::workspace;

    #[test]
    fn a_finished_exercise_lacks_nothing_and_a_spoilt_one_says_what() {
        let workspace = workspace();
        let all = load(&workspace).expect("the exercises");
        for exercise in &all {
            assert_eq!(lacks(exercise, &workspace).expect("files"), [""; 0], "{}", exercise.name);
        }
        let mut spoilt = all[0].clone();
        for place in ["dayy1.html", "day1.html#nowhere"] {
            spoilt.about.title = "x".repeat(44);
            spoilt.about.book = place.to_string();
            let told = lacks(&spoilt, &workspace).expect("files").join("\n");
            for words in
                ["as in exercise.toml", "more than 43 letters", &format!("no place {place}")]
            {
                assert!(told.contains(words), "{words:?} is missing: {told}");
            }
        }
    }
}
