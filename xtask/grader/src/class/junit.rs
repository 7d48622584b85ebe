//! The table as JUnit XML for forges and CI systems: a `testsuite` for each student, a `testcase`
//! for each exercise.
//!
//! The format has no standard. These are the elements and attributes that all readers know.

use std::fmt::Write as _;
use std::time::Duration;

use super::row::{Cell, Mark, Row};
use crate::exercise::exercises::Exercise;

/// The number of test cases, and how many did not pass.
#[derive(Clone, Copy, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    took: Duration,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
        self.took += other.took;
    }

    fn attributes(self) -> String {
        let Counts { tests, failures, errors, took, .. } = self;
        let time = took.as_secs_f64();
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time:.3}\"")
    }
}

/// The whole file.
pub fn junit(exercises: &[Exercise], rows: &[Row]) -> String {
    let mut all = Counts::default();
    let mut suites = String::new();
    for row in rows {
        let mut counts = Counts::default();
        let mut cases = String::new();
        for exercise in exercises {
            let missing = Cell::unjudged(Mark::Missing, "");
            let cell = row.cell(&exercise.name).unwrap_or(&missing);
            counts.add(case(&mut cases, &row.student, exercise, cell));
        }
        all.add(counts);
        let (name, skipped) = (escaped(&row.student), counts.skipped);
        let counts = counts.attributes();
        let _ = write!(
            suites,
            "  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\">\n{cases}  </testsuite>\n"
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"cargo xtask class\" {}>\n{suites}</testsuites>\n",
        all.attributes()
    )
}

/// Writes a test case, and counts it.
fn case(page: &mut String, student: &str, exercise: &Exercise, cell: &Cell) -> Counts {
    let mut counts = Counts { tests: 1, took: cell.took, ..Counts::default() };
    let message = match cell.sentence.as_str() {
        "" => cell.mark.word(),
        sentence => sentence,
    };
    let (message, text) = (escaped(message), escaped(&cell.text));
    let inside = match (&cell.mark, &cell.first_try) {
        (Mark::Passed, None) => String::new(),
        // Maven's Surefire writes this element; other readers ignore it.
        (Mark::Passed, Some(id)) => format!("<flakyFailure type=\"{}\"/>", escaped(id)),
        (Mark::Failed(id), _) => {
            counts.failures = 1;
            format!("<failure type=\"{}\" message=\"{message}\">{text}</failure>", escaped(id))
        }
        // The program was submitted, but could not be judged.
        (Mark::Refused, _) => {
            counts.errors = 1;
            format!("<error type=\"not read\" message=\"{message}\"/>")
        }
        (Mark::NotObserved | Mark::Untouched | Mark::Missing, _) => {
            counts.skipped = 1;
            format!("<skipped message=\"{message}\"/>")
        }
    };
    let _ = writeln!(
        page,
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\">{inside}</testcase>",
        escaped(&exercise.name),
        escaped(student),
        cell.took.as_secs_f64()
    );
    counts
}

/// Text for an element or an attribute. No [`Cell`] has control characters, which XML does not
/// allow.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::*;
    use crate::class::submission::Submission;
    use crate::exercise::folders;
    use toolbox::programs::workspace;

    /// A name and a text with all characters that XML reserves or does not allow.
    const EVIL: &str = "<a&b>\"'\u{1b}[31m\0\u{fffe}\u{ffff}\u{202e}]]>\r\n学生";

    #[test]
    fn a_reader_of_xml_gets_every_mark_back() {
        let all = folders::load(&workspace()).unwrap();
        let picked = &all[..6];
        let marks = [
            Mark::Passed,
            Mark::Failed("E-TAG".into()),
            Mark::NotObserved,
            Mark::Untouched,
            Mark::Refused,
        ];
        let mut row = Row::new(Submission::new(EVIL, Vec::new()).student());
        for (exercise, mark) in picked.iter().zip(marks) {
            let took = Duration::from_millis(1500);
            let text = EVIL.to_string();
            row.set(&exercise.name, Cell { took, text, ..Cell::unjudged(mark, EVIL) });
        }
        let slow = Cell::unjudged(Mark::Passed, "");
        row.set(&picked[5].name, Cell { first_try: Some("E-SPIN".into()), ..slow });
        let xml = junit(picked, &[row, Row::new("zoe")]);

        let document = Document::parse(&xml).expect("XML");
        let root = document.root_element();
        let is = |node: &Node, name: &str| node.has_tag_name(name);
        let counts = |node: Node| {
            let names = ["tests", "failures", "errors", "skipped", "time"];
            names.map(|name| node.attribute(name).unwrap_or_default().to_string())
        };
        assert!(is(&root, "testsuites"));
        assert_eq!(counts(root), ["12", "1", "1", "", "7.500"]);
        let suites: Vec<Node> = root.children().filter(Node::is_element).collect();
        assert_eq!(counts(suites[0]), ["6", "1", "1", "2", "7.500"]);
        assert_eq!(counts(suites[1]), ["6", "0", "0", "6", "0.000"]);
        let student = suites[0].attribute("name").unwrap();
        assert_eq!(student, "<a&b>\"'?[31m????]]>??学生");
        let mut elements = Vec::new();
        for (case, exercise) in suites[0].children().filter(Node::is_element).zip(picked) {
            assert!(is(&case, "testcase"));
            assert_eq!(case.attribute("name"), Some(exercise.name.as_str()));
            assert_eq!(case.attribute("classname"), Some(student));
            elements.push(case.first_element_child());
        }
        let names: Vec<_> =
            elements.iter().map(|it| it.map_or("", |it| it.tag_name().name())).collect();
        let expected = ["", "failure", "skipped", "skipped", "error", "flakyFailure"];
        assert_eq!(names, expected);
        let failure = elements[1].unwrap();
        assert_eq!(failure.attribute("type"), Some("E-TAG"));
        assert_eq!(failure.attribute("message"), Some("<a&b>\"'?[31m????]]> 学生"));
        assert_eq!(failure.text(), Some("<a&b>\"'?[31m????]]>\n学生"));
        assert_eq!(elements[4].unwrap().attribute("type"), Some("not read"));
        assert_eq!(elements[5].unwrap().attribute("type"), Some("E-SPIN"));
        let missing = suites[1].first_element_child().and_then(|it| it.first_element_child());
        assert_eq!(missing.unwrap().attribute("message"), Some("missing"));
    }
}
