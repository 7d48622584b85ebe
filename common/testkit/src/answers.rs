//! What a program answers that asks the kernel.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Folder, example, ordinary_user_or_skip, output_within};

/// The lines that an example printed, a `QUESTION: ANSWER` each.
#[derive(Debug)]
pub struct Answers(String);

impl Answers {
    /// Runs the example as an ordinary user who may lock 8 MiB, in an empty folder. If that is not
    /// possible here, says so aloud and returns `None`.
    ///
    /// # Panics
    /// If the example fails, prints another kind of line, asks a question twice, or leaves a file.
    pub fn or_skip(name: &str) -> Option<Answers> {
        let folder = Folder::or_skip(name)?;
        let mut command = example(name);
        command.current_dir(&*folder);
        if !ordinary_user_or_skip(name, &mut command, 8 << 20) {
            return None;
        }
        // Some of them ask hundreds of times.
        let output = output_within(command, Duration::from_secs(240)).expect("it ends");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(folder.names(), [""; 0], "it leaves files");
        let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
        let mut questions = BTreeSet::new();
        for line in text.lines() {
            let (question, _) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            assert!(questions.insert(question), "{question:?} is asked twice:\n{text}");
        }
        Some(Answers(text))
    }

    /// The lines, in the order of the questions.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }

    /// Asserts that it printed each of these lines.
    ///
    /// # Panics
    /// If one is missing.
    pub fn need(&self, lines: &[&str]) {
        for line in lines {
            assert!(self.lines().any(|found| found == *line), "{line:?} is missing:\n{}", self.0);
        }
    }
}
