//! The table as comma-separated values: one line for each student and exercise. Spreadsheets treat
//! every field as text.

use std::fmt::Write as _;

use super::row::{Cell, Mark, Row};
use crate::exercise::exercises::Exercise;

/// The names of the columns. `next` marks the student's next exercise; `first_try` is the id of a
/// first try that does not count. Beside the cost of a passing program is that of the solution.
const COLUMNS: &str = "student,day,exercise,verdict,id,reason,next,first_try,\
                       enters,par_enters,entries,par_entries,remarks";

/// The whole file.
pub fn csv(exercises: &[Exercise], rows: &[Row]) -> String {
    let mut csv = format!("{COLUMNS}\n");
    for row in rows {
        let next = row.next(exercises).map(|exercise| &exercise.name);
        for exercise in exercises {
            let missing = Cell::unjudged(Mark::Missing, "");
            let cell = row.cell(&exercise.name).unwrap_or(&missing);
            let number = |number: Option<u64>| number.map_or_else(String::new, |it| it.to_string());
            let (cost, par) = (cell.cost, exercise.about.par.as_ref());
            let fields = [
                row.student.as_str(),
                &exercise.day.to_string(),
                &exercise.name,
                cell.mark.word(),
                cell.mark.id().unwrap_or_default(),
                &cell.sentence,
                if next == Some(&exercise.name) { "next" } else { "" },
                cell.first_try.as_deref().unwrap_or_default(),
                &number(cost.map(|it| it.enters)),
                &number(par.map(|it| it.enters)),
                &number(cost.map(|it| it.entries)),
                &number(par.map(|it| it.entries)),
                &cell.remarks.join(" "),
            ];
            let _ = writeln!(csv, "{}", fields.map(quoted).join(","));
        }
    }
    csv
}

/// A field with any text. Spreadsheets treat a field as a formula if it begins with one of these
/// signs or its wide form, also after white space; an apostrophe before it makes it a text.
fn quoted(field: &str) -> String {
    let signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let formula = field.starts_with(['\t', '\r', '\n']) || field.trim_start().starts_with(signs);
    let text = if formula { "'" } else { "" };
    format!("\"{text}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_may_hold_anything() {
        let formulas =
            ["=1", " =1", "\t=1", "\tx", "\r1", "\n1", "＝1", "+1", "-1", "@A1", "\u{3000}＠A1"];
        for formula in formulas {
            assert_eq!(quoted(formula), format!("\"'{formula}\""));
        }
        assert_eq!(quoted("a;=1+1;b"), "\"a;=1+1;b\"");
        assert_eq!(quoted("=\"a\",b"), "\"'=\"\"a\"\",b\"");
    }
}
