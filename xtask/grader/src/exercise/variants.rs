//! Other answers to an exercise, wrong and right, as its `variants.toml` lists them: edits of the
//! solution or of the starter, or programs of their own in `wrong/` and `right/`.
//!
//! ```toml
//! [[variant]]
//! name = "waits_for_two"
//! expect = "E-HANG-WAIT"
//! why = "Waits for two completions of one entry."
//! find = 'ring.submit_and_wait(1)?;'
//! put = 'ring.submit_and_wait(2)?;'
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use similar::{ChangeTag, TextDiff};

use super::exercises::{Exercise, WrongUsage};
use super::ids;
use super::paint::Paint;

/// The `expect` of a right answer, in place of an id.
pub const PASSED: &str = "passed";

/// Another answer.
#[derive(Debug)]
pub struct Variant {
    /// Its name, unique in its exercise.
    pub name: String,
    /// The id that it must get, or [`PASSED`].
    pub expect: String,
    /// What it does differently, in a sentence.
    pub why: String,
    /// Words that a remark on it must have, if it passes with needless work.
    pub remark: Option<String>,
    /// The program.
    pub program: Program,
}

/// The source of a variant's program.
#[derive(Clone, Debug)]
pub enum Program {
    /// A whole file.
    File(PathBuf),
    /// An edited base.
    Edited {
        /// The base file.
        base: Base,
        /// Its text, without the comments that point at code.
        before: String,
        /// The same with the edits.
        after: String,
    },
}

/// The file that a variant edits.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// `solution.rs`
    #[default]
    Solution,
    /// `starter.rs`
    Starter,
}

impl Base {
    fn file(self) -> &'static str {
        match self {
            Base::Solution => "solution.rs",
            Base::Starter => "starter.rs",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    variant: Vec<Entry>,
}

/// A variant in the file: with one edit, with several, or with its own program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    expect: String,
    why: String,
    remark: Option<String>,
    #[serde(default)]
    base: Base,
    find: Option<String>,
    put: Option<String>,
    #[serde(default)]
    edit: Vec<Edit>,
}

/// An edit: replaces a text that the program has exactly once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    find: String,
    put: String,
}

/// The variants of an exercise, in the order of its `variants.toml`.
///
/// # Errors
/// If the file cannot be read, an edit does not fit its base, a listed program is missing, or a
/// program is not listed.
pub fn of(exercise: &Exercise) -> Result<Vec<Variant>> {
    let shown = exercise.folder.join("variants.toml");
    load(&exercise.folder).with_context(|| shown.display().to_string())
}

/// The variant of that name.
///
/// # Errors
/// As [`of`], and if no variant has that name.
pub fn find(exercise: &Exercise, name: &str) -> Result<Variant> {
    let mut variants = of(exercise)?;
    match variants.iter().position(|variant| variant.name == name) {
        Some(at) => Ok(variants.swap_remove(at)),
        None => {
            let there: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
            Err(WrongUsage::error(format!(
                "{} has no variant {name}; it has {}",
                exercise.name,
                there.join(", ")
            )))
        }
    }
}

fn load(folder: &Path) -> Result<Vec<Variant>> {
    let read = |file: &str| fs::read_to_string(folder.join(file)).with_context(|| file.to_string());
    let list: List = toml::from_str(&read("variants.toml")?)?;
    let mut unlisted = programs(folder)?;
    let mut names = BTreeSet::from(["solution".to_string(), "starter".to_string()]);
    let mut variants = Vec::new();
    for entry in list.variant {
        let name = entry.name.clone();
        ensure!(names.insert(name.clone()), "two programs have the name {name}");
        let before = without_carets(&read(entry.base.file())?);
        let variant = entry.variant(folder, before).context(name)?;
        if let Program::File(path) = &variant.program {
            ensure!(
                unlisted.remove(path),
                "{}: there is no {}; write it, or a `find` and a `put`",
                variant.name,
                path.display()
            );
        }
        variants.push(variant);
    }
    match unlisted.first() {
        None => Ok(variants),
        Some(path) => bail!("{} is not listed", path.display()),
    }
}

/// The files in `wrong/` and `right/`.
fn programs(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    for folder in ["wrong", "right"].map(|kind| folder.join(kind)) {
        // Not every exercise has both.
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            paths.insert(entry?.path());
        }
    }
    Ok(paths)
}

impl Entry {
    fn variant(self, folder: &Path, before: String) -> Result<Variant> {
        let Entry { name, expect, why, remark, base, find, put, edit: mut edits } = self;
        ensure!(
            expect == PASSED || ids::by_name(&expect).is_some(),
            "{expect} is neither `{PASSED}` nor an id of xtask/grader/src/exercise/ids.rs"
        );
        ensure!(
            expect == PASSED || remark.is_none(),
            "`remark` is for a program that must pass, and this one must not"
        );
        match (find, put) {
            (None, None) => {}
            (Some(find), Some(put)) if edits.is_empty() => edits.push(Edit { find, put }),
            (Some(_), Some(_)) => bail!(
                "a variant has either `find` and `put`, or a list of \
                                         edits, not both"
            ),
            _ => bail!("an edit needs a `find` and a `put`"),
        }
        let program = if edits.is_empty() {
            let kind = if expect == PASSED { "right" } else { "wrong" };
            Program::File(folder.join(kind).join(format!("{name}.rs")))
        } else {
            let after = edited(base, &before, &edits)?;
            Program::Edited { base, before, after }
        };
        Ok(Variant { name, expect, why, remark, program })
    }
}

/// The base with the edits, one after the other.
fn edited(base: Base, before: &str, edits: &[Edit]) -> Result<String> {
    let mut text = before.to_string();
    for Edit { find, put } in edits {
        let count = text.matches(find.as_str()).count();
        let file = base.file();
        ensure!(!find.is_empty(), "`find` is empty; write a text that is in {file} once");
        let why = match count {
            0 => "comments of carets are left out, and earlier edits are made",
            _ => "add more of the lines around it",
        };
        ensure!(
            count == 1,
            "`find` is in {file} {count} times, not once; {why}:\n{}",
            find.trim_end()
        );
        text = text.replacen(find.as_str(), put, 1);
    }
    Ok(text)
}

/// A program without the comments that point at the line above. Edits would have to repeat them,
/// and they would be wrong for an edited line.
fn without_carets(text: &str) -> String {
    let mut pointing = false;
    let kept = text.lines().filter(|line| {
        let comment = line.trim_start().strip_prefix("//").map(str::trim_start);
        pointing = comment.is_some_and(|words| {
            words.starts_with('^') || (pointing && !words.starts_with("SAFETY:"))
        });
        !pointing
    });
    kept.map(|line| format!("{line}\n")).collect()
}

impl Variant {
    /// Its description, and its program with `-` before removed lines and `+` before added ones.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn page(&self, paint: Paint) -> Result<String> {
        let mut page = self.entry();
        match &self.program {
            Program::File(path) => {
                let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
                let _ = write!(page, "\nA program of its own:\n\n{text}");
            }
            Program::Edited { base, before, after } => {
                let _ = write!(page, "\n{}, edited:\n\n", base.file());
                page.push_str(&marked(before, after, paint));
            }
        }
        Ok(page)
    }

    /// Its name, its verdict, and why.
    pub fn entry(&self) -> String {
        let heading = format!("{:<28}{}", self.name, self.expect);
        let why = common::text::wrap(&format!("  {}", self.why), common::text::WIDTH, 2);
        format!("{heading}\n{why}\n")
    }
}

/// The second text, with the lines that are only in the first between its lines.
fn marked(before: &str, after: &str, paint: Paint) -> String {
    let line = |(mark, line): (ChangeTag, &str)| match mark {
        ChangeTag::Equal => format!(" {line}").trim_end().to_string() + "\n",
        ChangeTag::Delete => paint.bad(&format!("-{line}")) + "\n",
        ChangeTag::Insert => paint.good(&format!("+{line}")) + "\n",
    };
    let diff = TextDiff::from_lines(before, after);
    let changes = diff.iter_all_changes();
    changes.map(|change| line((change.tag(), change.value().trim_end()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "fn main() {\n    ask(1);\n    ask(2);\n}\n";

    fn variant(toml: &str) -> Result<Variant> {
        let mut list: List =
            toml::from_str(&format!("[[variant]]\nname = 'it'\nwhy = 'So.'\n{toml}"))?;
        list.variant.remove(0).variant(Path::new("folder"), BASE.to_string())
    }

    #[track_caller]
    fn after(toml: &str) -> String {
        match variant(toml).expect("a variant").program {
            Program::Edited { after, .. } => after,
            Program::File(path) => panic!("{}", path.display()),
        }
    }

    #[track_caller]
    fn fails(toml: &str) -> String {
        format!("{:#}", variant(toml).expect_err("an error"))
    }

    #[test]
    fn one_edit_and_several_in_order() {
        let text = after("expect = 'E-TAG'\nfind = 'ask(2);'\nput = 'tell(2);'\n");
        assert_eq!(text, BASE.replace("ask(2)", "tell(2)"));
        // The second edit finds what the first has put.
        let text = after(
            "expect = 'passed'\nbase = 'starter'\n\
             [[variant.edit]]\nfind = 'ask(1);'\nput = 'tell(1);'\n\
             [[variant.edit]]\nfind = 'tell(1);'\nput = 'tell(3);'\n",
        );
        assert_eq!(text, BASE.replace("ask(1)", "tell(3)"));
    }

    #[test]
    fn a_find_that_is_not_there_once_is_said() {
        let words = fails("expect = 'E-TAG'\nfind = 'ask(3);'\nput = ''\n");
        assert!(words.starts_with("`find` is in solution.rs 0 times, not once"), "{words}");
        assert!(words.contains("comments of carets") && words.ends_with("\nask(3);"), "{words}");
        let words = fails("expect = 'E-TAG'\nbase = 'starter'\nfind = 'ask('\nput = ''\n");
        assert!(words.starts_with("`find` is in starter.rs 2 times, not once"), "{words}");
        assert!(words.contains("add more") && words.ends_with("\nask("), "{words}");
        let words = fails("expect = 'E-TAG'\nfind = ''\nput = ''\n");
        assert!(words.starts_with("`find` is empty"), "{words}");
    }

    #[test]
    fn what_is_neither_an_edit_nor_a_program_is_said() {
        let edit = "find = 'ask(1);'\nput = ''\n";
        assert!(fails(&format!("expect = 'E-NOPE'\n{edit}")).starts_with("E-NOPE is neither"));
        assert!(fails("expect = 'E-TAG'\nput = ''\n").contains("a `find` and a `put`"));
        let both = format!("expect = 'E-TAG'\n{edit}[[variant.edit]]\n{edit}");
        assert!(fails(&both).contains("not both"), "{both}");
        assert!(fails("expect = 'E-TAG'\nfound = ''\n").contains("found"));
    }

    #[test]
    fn without_an_edit_it_is_a_file() {
        for (expect, path) in [("E-TAG", "folder/wrong/it.rs"), (PASSED, "folder/right/it.rs")] {
            let variant = variant(&format!("expect = '{expect}'")).expect("a variant");
            assert!(
                matches!(&variant.program, Program::File(file) if file == Path::new(path)),
                "{variant:?}"
            );
        }
    }

    #[test]
    fn comments_that_point_at_code_are_left_out() {
        let text = "    ask(1);\n    //  ^ one\n    //    of two\n    // SAFETY: none\n    ask(2);\n\
                    //  ^^\n    // more\n\n    // a step\n    go();\n";
        assert_eq!(
            without_carets(text),
            "    ask(1);\n    // SAFETY: none\n    ask(2);\n\n    // a step\n    go();\n"
        );
    }

    #[test]
    fn an_edit_is_marked() {
        let after = BASE.replace("    ask(1);\n", "\n").replace("ask(2)", "tell(2)");
        assert_eq!(
            marked(BASE, &after, Paint::default()),
            " fn main() {\n-    ask(1);\n-    ask(2);\n+\n+    tell(2);\n }\n"
        );
    }
}
