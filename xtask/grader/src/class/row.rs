//! One student: the verdict on each program, and the next exercise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use common::text::{WIDTH, wrap};

use super::submission::printable;
use crate::exercise::cost::Cost;
use crate::exercise::exercises::Exercise;
use crate::exercise::ids;

/// The verdict on one student's program, in a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It passed.
    Passed,
    /// It failed with this id.
    Failed(String),
    /// Not observed on this machine.
    NotObserved,
    /// The student submitted the unchanged starter.
    Untouched,
    /// The student submitted nothing.
    Missing,
    /// The submitted file was not read.
    Refused,
}

impl Mark {
    /// One character, for a table with one column for each exercise.
    pub fn letter(&self) -> char {
        match self {
            Mark::Passed => '+',
            Mark::Failed(id) if id == ids::COMPILE.name => '!',
            Mark::Failed(_) => 'x',
            Mark::NotObserved => '?',
            Mark::Untouched => '-',
            Mark::Missing => '.',
            Mark::Refused => '#',
        }
    }

    /// One word or two.
    pub fn word(&self) -> &'static str {
        match self {
            Mark::Passed => "passed",
            Mark::Failed(_) => "failed",
            Mark::NotObserved => "not observed",
            Mark::Untouched => "not begun",
            Mark::Missing => "missing",
            Mark::Refused => "not read",
        }
    }

    /// The id of a failure.
    pub fn id(&self) -> Option<&str> {
        match self {
            Mark::Failed(id) => Some(id),
            _ => None,
        }
    }

    /// The id of a failure and its meaning, or the word.
    pub fn meaning(&self) -> String {
        match self.id() {
            Some(id) => format!("{id}: {}", ids::by_name(id).map_or("", |id| id.meaning())),
            None => self.word().to_string(),
        }
    }
}

/// The verdict on one student's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// In a word.
    pub mark: Mark,
    /// Why, in one sentence; may be empty.
    pub sentence: String,
    /// The verdict in full, as the student would read it; empty if no program was judged.
    pub text: String,
    /// How long it took to judge.
    pub took: Duration,
    /// The id of a first try that does not count.
    pub first_try: Option<String>,
    /// The cost of a passing program, if it was measured.
    pub cost: Option<Cost>,
    /// Its needless work, one sentence each.
    pub remarks: Vec<String>,
}

impl Cell {
    /// The cell of an exercise for which no program was judged, and why.
    pub fn unjudged(mark: Mark, why: &str) -> Cell {
        let (sentence, text) = (why.to_string(), String::new());
        let took = Duration::ZERO;
        Cell { mark, sentence, text, took, first_try: None, cost: None, remarks: Vec::new() }
    }

    /// Removes everything from its texts that spoils a terminal or a file.
    fn printable(self) -> Cell {
        let lines = |text: &str| text.trim_end().lines().map(printable).collect::<Vec<_>>();
        Cell {
            sentence: lines(&self.sentence).join(" "),
            text: lines(&self.text).join("\n"),
            remarks: self.remarks.iter().map(|remark| printable(remark)).collect(),
            ..self
        }
    }
}

/// One student.
#[derive(Clone, Debug)]
pub struct Row {
    /// The student's name.
    pub student: String,
    cells: BTreeMap<String, Cell>,
}

impl Row {
    /// A student without programs.
    pub fn new(student: &str) -> Row {
        Row { student: student.to_string(), cells: BTreeMap::new() }
    }

    /// The verdict on the program for an exercise.
    pub fn set(&mut self, exercise: &str, cell: Cell) {
        self.cells.insert(exercise.to_string(), cell.printable());
    }

    /// The verdict on the program for an exercise; `None` if it was not checked.
    pub fn cell(&self, exercise: &str) -> Option<&Cell> {
        self.cells.get(exercise)
    }

    /// The mark for an exercise.
    pub fn mark(&self, exercise: &str) -> &Mark {
        self.cell(exercise).map_or(&Mark::Missing, |cell| &cell.mark)
    }

    /// The mark in one character: `*` for a program that needs no more calls and entries than the
    /// solution.
    pub fn letter(&self, exercise: &Exercise) -> char {
        let par = exercise.about.par.as_ref();
        let cost = self.cell(&exercise.name).and_then(|cell| cell.cost);
        match par.zip(cost) {
            Some((par, cost)) if par.is_reached(cost) => '*',
            _ => self.mark(&exercise.name).letter(),
        }
    }

    /// The first of these exercises that is not passed, and could be passed on this machine.
    pub fn next<'a>(&self, exercises: &'a [Exercise]) -> Option<&'a Exercise> {
        let done = |mark: &Mark| matches!(mark, Mark::Passed | Mark::NotObserved);
        exercises.iter().find(|exercise| !done(self.mark(&exercise.name)))
    }

    /// A text for the student: the verdicts in the order of the exercises.
    pub fn details(&self, exercises: &[Exercise]) -> String {
        let mut text = format!("{}\n", self.student);
        if let Some(Exercise { name, .. }) = self.next(exercises) {
            let line = format!("Next: {name}, {}", self.mark(name).meaning());
            let _ = writeln!(text, "{}", wrap(&line, WIDTH, 2));
        }
        let mut missing = Vec::new();
        for Exercise { name, .. } in exercises {
            let _ = match self.cell(name) {
                None | Some(Cell { mark: Mark::Missing, .. }) => {
                    missing.push(name.as_str());
                    Ok(())
                }
                Some(cell) if !cell.text.is_empty() => writeln!(text, "\n{}", cell.text),
                Some(Cell { mark, sentence, .. }) if sentence.is_empty() => {
                    writeln!(text, "\n{name}: {}", mark.word())
                }
                Some(Cell { mark, sentence, .. }) => {
                    writeln!(text, "\n{name}: {}: {sentence}", mark.word())
                }
            };
        }
        if !missing.is_empty() {
            let line = format!("missing: {}", missing.join(", "));
            let _ = writeln!(text, "\n{}", wrap(&line, WIDTH, 2));
        }
        text
    }
}
