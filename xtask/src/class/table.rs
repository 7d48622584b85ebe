//! Who passed what, and the commonest mistakes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::text::{WIDTH, several, wrap};

use super::submission::printable;
use crate::exercise::exercises::Exercise;
use crate::exercise::ids;

/// What came of one student's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It passed.
    Passed,
    /// It failed with this id.
    Failed(String),
    /// This machine cannot decide.
    NotObserved,
    /// The starter was handed in as it was.
    Untouched,
    /// Nothing was handed in.
    Missing,
    /// What was handed in is not read, and why.
    Refused(String),
}

impl Mark {
    fn letter(&self) -> char {
        match self {
            Mark::Passed => '+',
            Mark::Failed(id) if id == ids::COMPILE.name => '!',
            Mark::Failed(_) => 'x',
            Mark::NotObserved => '?',
            Mark::Untouched => '-',
            Mark::Missing => '.',
            Mark::Refused(_) => '#',
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Mark::Passed => "passed",
            Mark::Failed(_) => "failed",
            Mark::NotObserved => "not observed",
            Mark::Untouched => "not begun",
            Mark::Missing => "missing",
            Mark::Refused(_) => "not read",
        }
    }
}

/// One student.
#[derive(Clone, Debug)]
pub struct Row {
    student: String,
    marks: BTreeMap<String, Mark>,
    /// The verdicts in full, where there are any.
    verdicts: BTreeMap<String, String>,
}

impl Row {
    /// Without marks.
    pub fn new(student: &str) -> Row {
        let student = student.to_string();
        Row { student, marks: BTreeMap::new(), verdicts: BTreeMap::new() }
    }

    /// The mark for an exercise.
    pub fn set(&mut self, exercise: &Exercise, mark: Mark) {
        self.marks.insert(exercise.name.clone(), mark);
    }

    /// What the student would read on a screen of their own.
    pub fn explain(&mut self, exercise: &Exercise, verdict: &str) {
        let lines: Vec<String> = verdict.lines().map(printable).collect();
        self.verdicts.insert(exercise.name.clone(), lines.join("\n"));
    }

    /// A text for the student: the verdicts in the order of the exercises.
    fn details(&self, exercises: &[Exercise]) -> String {
        let mut text = format!("{}\n", self.student);
        let mut missing = Vec::new();
        for Exercise { name, .. } in exercises {
            let mark = self.marks.get(name).unwrap_or(&Mark::Missing);
            let _ = match (self.verdicts.get(name), mark) {
                (Some(verdict), _) => writeln!(text, "\n{}", verdict.trim_end()),
                (None, Mark::Missing) => {
                    missing.push(name.as_str());
                    Ok(())
                }
                (None, Mark::Refused(why)) => writeln!(text, "\n{name}: not read: {why}"),
                (None, mark) => writeln!(text, "\n{name}: {}", mark.word()),
            };
        }
        if !missing.is_empty() {
            let line = format!("missing: {}", missing.join(", "));
            let _ = writeln!(text, "\n{}", wrap(&line, WIDTH, 2));
        }
        text
    }
}

/// A class.
#[derive(Clone, Debug)]
pub struct Table {
    /// Days and names.
    exercises: Vec<(u32, String)>,
    rows: Vec<Row>,
}

/// Columns for a name.
const NAME: usize = 24;

impl Table {
    /// Without rows.
    pub fn new(exercises: &[Exercise]) -> Table {
        let exercises =
            exercises.iter().map(|exercise| (exercise.day, exercise.name.clone())).collect();
        Table { exercises, rows: Vec::new() }
    }

    /// One student more.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    fn mark<'a>(&self, row: &'a Row, name: &str) -> &'a Mark {
        row.marks.get(name).unwrap_or(&Mark::Missing)
    }

    /// One line for each student, one column for each exercise, a gap between days.
    fn line(&self, mut letter: impl FnMut(usize, &str) -> char) -> String {
        let mut line = String::new();
        let mut day = self.exercises.first().map_or(0, |(day, _)| *day);
        for (nth, (of, name)) in self.exercises.iter().enumerate() {
            if *of != day {
                day = *of;
                line.push(' ');
            }
            line.push(letter(nth, name));
        }
        line
    }

    /// For people, at most 80 columns.
    pub fn text(&self) -> String {
        let mut page = String::new();
        let _ = writeln!(page, "{:<NAME$}  {}", "student", self.line(|nth, _| column(nth)));
        for row in &self.rows {
            let student = shortened(&row.student);
            let line = self.line(|_, name| self.mark(row, name).letter());
            let passed = row.marks.values().filter(|mark| **mark == Mark::Passed).count();
            let _ = writeln!(page, "{student:<NAME$}  {line}  {passed}");
        }
        let _ = writeln!(
            page,
            "\n+ passed  x failed  ! does not compile  ? not observed  # not read\n\
             - the starter, unchanged  . missing"
        );
        page.push('\n');
        self.columns(&mut page);
        self.refused(&mut page);
        self.mistakes(&mut page);
        page
    }

    /// Which column is which exercise.
    fn columns(&self, page: &mut String) {
        let names: Vec<String> = self
            .exercises
            .iter()
            .enumerate()
            .map(|(nth, (_, name))| format!("{} {name}", column(nth)))
            .collect();
        let _ = writeln!(page, "{}", wrap(&names.join(", "), WIDTH, 0));
    }

    fn refused(&self, page: &mut String) {
        for row in &self.rows {
            for (name, mark) in &row.marks {
                if let Mark::Refused(why) = mark {
                    let line = format!("{}: {name}.rs was not read: {why}", row.student);
                    let _ = write!(page, "\n{}", wrap(&line, WIDTH, 2));
                }
            }
        }
        if page.ends_with(|letter| letter != '\n') {
            page.push('\n');
        }
    }

    fn mistakes(&self, page: &mut String) {
        let mut mistakes: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for row in &self.rows {
            for (name, mark) in &row.marks {
                if let Mark::Failed(id) = mark {
                    *mistakes.entry(id).or_default().entry(name).or_default() += 1;
                }
            }
        }
        if mistakes.is_empty() {
            return;
        }
        let mut sorted: Vec<(usize, &str, String)> = mistakes
            .into_iter()
            .map(|(id, names)| {
                let list: Vec<String> =
                    names.iter().map(|(name, count)| format!("{name} {count}")).collect();
                (names.values().sum(), id, list.join(", "))
            })
            .collect();
        sorted.sort_by_key(|(count, _, _)| std::cmp::Reverse(*count));
        let _ = writeln!(page, "\nThe commonest mistakes");
        for (count, id, names) in sorted {
            let meaning = ids::by_name(id).map_or("", |id| id.meaning());
            let line = format!("{count:>4}  {id}: {meaning} ({names})");
            let _ = writeln!(page, "{}", wrap(&line, WIDTH, 6));
        }
    }

    /// A text for each student.
    pub fn details(&self, exercises: &[Exercise]) -> Vec<String> {
        self.rows.iter().map(|row| row.details(exercises)).collect()
    }

    /// For programs: one line for each student and exercise.
    pub fn csv(&self) -> String {
        let mut csv = String::from("student,day,exercise,verdict,id,reason\n");
        for row in &self.rows {
            for (day, name) in &self.exercises {
                let mark = self.mark(row, name);
                let (id, reason) = match mark {
                    Mark::Failed(id) => (id.as_str(), ""),
                    Mark::Refused(why) => ("", why.as_str()),
                    _ => ("", ""),
                };
                let day = day.to_string();
                let fields = [&row.student, &day, name, mark.word(), id, reason].map(quoted);
                let _ = writeln!(csv, "{}", fields.join(","));
            }
        }
        csv
    }

    /// How many students there are, in words.
    pub fn students(&self) -> String {
        several(self.rows.len(), "student")
    }
}

/// A name for a column in one character: 1 to 9, then a to z.
fn column(nth: usize) -> char {
    const NAMES: &[u8] = b"123456789abcdefghijklmnopqrstuvwxyz";
    NAMES.get(nth).map_or('*', |name| char::from(*name))
}

/// A name that fits its column; one that is cut ends in `…`.
fn shortened(name: &str) -> String {
    match name.chars().count() {
        ..=NAME => name.to_string(),
        _ => name.chars().take(NAME - 1).chain(['…']).collect(),
    }
}

/// A field that may hold anything. A spreadsheet takes what begins with one of these signs, or
/// with its wide form, for a formula; an apostrophe before it makes it text.
fn quoted(field: &str) -> String {
    let formula = field.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let text = if formula { "'" } else { "" };
    format!("\"{text}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let exercises = vec![(1, "first_nop".to_string()), (3, "one_accept".to_string())];
        let mut ada = Row::new("ada");
        ada.marks.insert("first_nop".into(), Mark::Passed);
        ada.marks.insert("one_accept".into(), Mark::Failed("E-REARM".into()));
        let mut eve = Row::new("=eve, \"e\"");
        eve.marks.insert("first_nop".into(), Mark::Failed("E-REARM".into()));
        eve.marks.insert("one_accept".into(), Mark::Refused("it is too long".into()));
        Table { exercises, rows: vec![ada, eve] }
    }

    #[test]
    fn the_table_shows_every_student_and_the_commonest_mistake() {
        let text = table().text();
        assert!(text.contains("ada                       + x  1\n"), "{text}");
        assert!(text.contains("x #  0\n"), "{text}");
        assert!(text.contains("   2  E-REARM: "), "{text}");
        assert!(text.contains("one_accept.rs was not read: it is too long\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn a_long_name_is_cut_where_it_can_be_seen() {
        let names = ["a name of twenty-four c.", "a name of twenty-five ch."];
        assert_eq!(names.map(shortened), ["a name of twenty-four c.", "a name of twenty-five c…"]);
    }

    #[test]
    fn a_field_may_hold_anything() {
        let csv = table().csv();
        assert!(
            csv.contains("\"ada\",\"3\",\"one_accept\",\"failed\",\"E-REARM\",\"\"\n"),
            "{csv}"
        );
        assert!(csv.contains("\"'=eve, \"\"e\"\"\",\"1\",\"first_nop\",\"failed\""), "{csv}");
        assert!(csv.contains("\"not read\",\"\",\"it is too long\"\n"), "{csv}");
        for formula in ["=1", " =1", "\t=1", "＝1", "+1", "-1", "@A1", "\u{3000}＠A1"] {
            assert_eq!(quoted(formula), format!("\"'{formula}\""));
        }
        assert_eq!(quoted("a;=1+1;b"), "\"a;=1+1;b\"");
    }
}
