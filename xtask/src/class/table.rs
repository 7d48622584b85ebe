//! Who passed what, and the commonest mistakes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::text::{WIDTH, several, wrap};

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
    Refused(&'static str),
}

impl Mark {
    fn letter(&self) -> char {
        match self {
            Mark::Passed => '+',
            Mark::Failed(id) if id == ids::COMPILE.name => '!',
            Mark::Failed(_) => 'x',
            Mark::NotObserved => '?',
            Mark::Untouched | Mark::Missing => '.',
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
}

impl Row {
    /// Without marks.
    pub fn new(student: &str) -> Row {
        Row { student: student.to_string(), marks: BTreeMap::new() }
    }

    /// The mark for an exercise.
    pub fn set(&mut self, exercise: &Exercise, mark: Mark) {
        self.marks.insert(exercise.name.clone(), mark);
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
            let student: String = row.student.chars().take(NAME).collect();
            let line = self.line(|_, name| self.mark(row, name).letter());
            let passed = row.marks.values().filter(|mark| **mark == Mark::Passed).count();
            let _ = writeln!(page, "{student:<NAME$}  {line}  {passed}");
        }
        let _ = writeln!(
            page,
            "\n+ passed  x failed  ! does not compile  ? not observed  # not read  . not begun"
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

    /// For programs: one line for each student and exercise.
    pub fn csv(&self) -> String {
        let mut csv = String::from("student,day,exercise,verdict,id\n");
        for row in &self.rows {
            for (day, name) in &self.exercises {
                let mark = self.mark(row, name);
                let id = match mark {
                    Mark::Failed(id) => id.as_str(),
                    _ => "",
                };
                let student = quoted(&row.student);
                let _ = writeln!(csv, "{student},{day},{name},{},{id}", mark.word());
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

/// A field that may hold commas and quotes. One that a spreadsheet would take for a formula
/// is kept from it.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@']);
    let field = if formula { format!("'{field}") } else { field.to_string() };
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
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
        eve.marks.insert("one_accept".into(), Mark::Refused("it is a symbolic link"));
        Table { exercises, rows: vec![ada, eve] }
    }

    #[test]
    fn the_table_shows_every_student_and_the_commonest_mistake() {
        let text = table().text();
        assert!(text.contains("ada                       + x  1\n"), "{text}");
        assert!(text.contains("x #  0\n"), "{text}");
        assert!(text.contains("   2  E-REARM: "), "{text}");
        assert!(text.contains("one_accept.rs was not read: it is a symbolic link\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn a_field_may_hold_anything() {
        let csv = table().csv();
        assert!(csv.contains("ada,3,one_accept,failed,E-REARM\n"), "{csv}");
        assert!(csv.contains("\"'=eve, \"\"e\"\"\",1,first_nop,failed,E-REARM\n"), "{csv}");
    }
}
