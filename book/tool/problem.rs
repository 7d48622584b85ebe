//! What is wrong with the book: where, what, and what to type.

use std::fmt;

/// One mistake in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, from the workspace's root.
    pub file: String,
    /// The line in it, from 1, if there is one.
    pub line: Option<usize>,
    /// What is wrong, in one or more lines.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl Problem {
    /// A problem in a line of a file.
    pub fn at(
        file: impl Into<String>,
        line: usize,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), line: Some(line), what: what.into(), remedy: remedy.into() }
    }

    /// A problem of a file as a whole.
    pub fn of(file: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what)?,
            None => write!(f, "{}: {}", self.file, self.what)?,
        }
        for line in self.remedy.lines() {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// A problem without its place, which the caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl Complaint {
    /// A complaint and its remedy.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// The same with its place.
    pub fn at(self, file: impl Into<String>, line: usize) -> Problem {
        Problem::at(file, line, self.what, self.remedy)
    }
}
