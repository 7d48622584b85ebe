//! Who passed what, each student's next exercise, and the commonest mistakes, in at most 80 columns
//! for a projector.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::text::{WIDTH, several, wrap};

use super::row::{Mark, Row};
use crate::exercise::exercises::Exercise;

/// Columns for a name.
const NAME: usize = 24;
/// The most listed mistakes: more do not fit a projector.
const MISTAKES: usize = 10;

/// The whole page.
pub fn text(exercises: &[Exercise], rows: &[Row]) -> String {
    let mut page = String::new();
    let letters = line(exercises, |nth, _| column(nth));
    let _ = writeln!(page, "{:<NAME$}  {letters}", "student");
    for row in rows {
        let student = shortened(&row.student);
        let line = line(exercises, |_, exercise| row.letter(exercise));
        let passed = exercises.iter().filter(|it| *row.mark(&it.name) == Mark::Passed).count();
        let _ = writeln!(page, "{student:<NAME$}  {line}  {passed}");
    }
    let names: Vec<String> = exercises
        .iter()
        .enumerate()
        .map(|(nth, exercise)| format!("{} {}", column(nth), exercise.name))
        .collect();
    let _ = writeln!(
        page,
        "\n+ passed  * passed with no more calls and entries than the solution\n\
         x failed  ! does not compile  ? not observed  # not read\n\
         - the starter, unchanged  . missing\n\n{}",
        wrap(&names.join(", "), WIDTH, 0)
    );
    for (title, lines) in [
        ("Not read", refused(rows, exercises)),
        ("Second tries", again(rows, exercises)),
        ("What each student does next", next(rows, exercises)),
        ("The commonest mistakes", mistakes(rows, exercises)),
        ("Passed, and beside the point", remarks(rows, exercises)),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(page, "\n{title}\n{}", lines.join("\n"));
        }
    }
    page
}

/// One column for each exercise, with a gap between days.
fn line(exercises: &[Exercise], letter: impl Fn(usize, &Exercise) -> char) -> String {
    let mut line = String::new();
    let mut today = exercises.first().map_or(0, |exercise| exercise.day);
    for (nth, exercise) in exercises.iter().enumerate() {
        if exercise.day != today {
            today = exercise.day;
            line.push(' ');
        }
        line.push(letter(nth, exercise));
    }
    line
}

fn refused(rows: &[Row], exercises: &[Exercise]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        for Exercise { name, .. } in exercises {
            if let Some(cell) = row.cell(name).filter(|cell| cell.mark == Mark::Refused) {
                let line = format!("{}: {name}.rs: {}", row.student, cell.sentence);
                lines.push(wrap(&line, WIDTH, 2));
            }
        }
    }
    lines
}

/// The needless work of passing programs.
fn remarks(rows: &[Row], exercises: &[Exercise]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        for Exercise { name, .. } in exercises {
            for remark in row.cell(name).map_or(&[][..], |cell| &cell.remarks) {
                lines.push(wrap(&format!("{}: {name}: {remark}", row.student), WIDTH, 2));
            }
        }
    }
    lines
}

/// How many programs got a second try, and those whose verdict changed.
fn again(rows: &[Row], exercises: &[Exercise]) -> Vec<String> {
    let mut tries = 0;
    let mut changed = Vec::new();
    for row in rows {
        for Exercise { name, .. } in exercises {
            let Some(cell) = row.cell(name) else { continue };
            let Some(first) = &cell.first_try else { continue };
            tries += 1;
            let now = cell.mark.id().unwrap_or(cell.mark.word());
            if now != first {
                let line = format!("  {}: {name}: {first}, then {now}", row.student);
                changed.push(wrap(&line, WIDTH, 4));
            }
        }
    }
    if tries > 0 {
        let line = format!(
            "{} got a second try, alone, for time can explain how the first one failed. It \
             changed {}.",
            several(tries, "program"),
            several(changed.len(), "verdict"),
        );
        changed.insert(0, wrap(&line, WIDTH, 0));
    }
    changed
}

/// The students with the same next step together, the largest group first.
fn next(rows: &[Row], exercises: &[Exercise]) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for row in rows {
        let step = match row.next(exercises) {
            Some(Exercise { name, .. }) => format!("{name}, {}", row.mark(name).meaning()),
            None => "nothing: all is passed".to_string(),
        };
        match groups.iter_mut().find(|(known, _)| *known == step) {
            Some((_, students)) => students.push(&row.student),
            None => groups.push((step, vec![&row.student])),
        }
    }
    groups.sort_by_key(|(_, students)| std::cmp::Reverse(students.len()));
    let mut lines = Vec::new();
    for (step, students) in groups {
        let line = format!("{:>4} of {}: {step}", students.len(), rows.len());
        lines.push(wrap(&line, WIDTH, 6));
        lines.push(wrap(&format!("      {}", students.join(", ")), WIDTH, 6));
    }
    lines
}

/// The commonest ids, each with its exercise and the number of programs that have it.
fn mistakes(rows: &[Row], exercises: &[Exercise]) -> Vec<String> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for Exercise { name, .. } in exercises {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut judged = 0;
        for mark in rows.iter().map(|row| row.mark(name)) {
            judged += usize::from(*mark == Mark::Passed || mark.id().is_some());
            if let Some(id) = mark.id() {
                *counts.entry(id).or_default() += 1;
            }
        }
        for (id, count) in counts {
            let meaning = Mark::Failed(id.to_string()).meaning();
            let line = meaning.replacen(':', &format!(" in {name}:"), 1);
            lines.push((count, wrap(&format!("{count:>4} of {judged}: {line}"), WIDTH, 6)));
        }
    }
    lines.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let rarer = lines.len().saturating_sub(MISTAKES);
    let mut lines: Vec<String> = lines.into_iter().take(MISTAKES).map(|(_, line)| line).collect();
    if rarer > 0 {
        lines.push(format!("      and {} that are not commoner", several(rarer, "other")));
    }
    lines
}

/// The name of a column in one character: 1 to 9, then a to z.
fn column(nth: usize) -> char {
    const NAMES: &[u8] = b"123456789abcdefghijklmnopqrstuvwxyz";
    NAMES.get(nth).map_or('*', |name| char::from(*name))
}

/// A name that fits its column. A cut name ends in `…`.
fn shortened(name: &str) -> String {
    match name.chars().count() {
        ..=NAME => name.to_string(),
        _ => name.chars().take(NAME - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::row::Cell;
    use crate::exercise::cost::Cost;
    use crate::exercise::{exercises, folders};
    use toolbox::programs::workspace;

    fn table() -> String {
        let all = folders::load(&workspace()).unwrap();
        let only = ["first_nop".to_string(), "one_accept".to_string()];
        let picked = exercises::pick(&all, &only).unwrap();
        let failed = |id: &str| Cell::unjudged(Mark::Failed(id.into()), "");
        let passed = || Cell::unjudged(Mark::Passed, "");
        let refused = Cell::unjudged(Mark::Refused, "it is too long");
        let cost = |enters, entries| Some(Cost { enters, entries });
        let costs = |enters, entries| Cell { cost: cost(enters, entries), ..passed() };
        let remarks = vec!["41 calls of poll waited beside the ring.".to_string()];
        let slow = Cell { first_try: Some("E-SPIN".into()), ..passed() };
        let still = Cell { first_try: Some("E-SPIN".into()), ..failed("E-SPIN") };
        let rows = [
            ("ada", costs(1, 1), failed("E-REARM")),
            ("bob", Cell { remarks, ..costs(2, 1) }, failed("E-REARM")),
            ("cyd", passed(), slow),
            ("dan", failed("E-TAG"), still),
            ("eve", passed(), refused),
        ];
        let rows = rows.map(|(student, first, second)| {
            let mut row = Row::new(student);
            row.set("first_nop", first);
            row.set("one_accept", second);
            row
        });
        text(&picked, &rows)
    }

    #[test]
    fn the_table_says_who_passed_what_and_where_to_go_on() {
        let expected = "\
student                   1 2
ada                       * x  1
bob                       + x  1
cyd                       + +  2
dan                       x x  0
eve                       + #  1

+ passed  * passed with no more calls and entries than the solution
x failed  ! does not compile  ? not observed  # not read
- the starter, unchanged  . missing

1 first_nop, 2 one_accept

Not read
eve: one_accept.rs: it is too long

Second tries
2 programs got a second try, alone, for time can explain how the first one
failed. It changed 1 verdict.
  cyd: one_accept: E-SPIN, then passed

What each student does next
   2 of 5: one_accept, E-REARM: a multishot operation ended and was not armed
      again
      ada, bob
   1 of 5: nothing: all is passed
      cyd
   1 of 5: first_nop, E-TAG: an entry carries another user_data than asked
      dan
   1 of 5: one_accept, not read
      eve

The commonest mistakes
   2 of 4: E-REARM in one_accept: a multishot operation ended and was not armed
      again
   1 of 5: E-TAG in first_nop: an entry carries another user_data than asked
   1 of 4: E-SPIN in one_accept: the program goes round in a loop without
      getting anywhere

Passed, and beside the point
bob: first_nop: 41 calls of poll waited beside the ring.
";
        assert_eq!(table(), expected);
    }

    #[test]
    fn a_long_name_is_cut_where_it_can_be_seen() {
        let names = ["a name of twenty-four c.", "a name of twenty-five ch."];
        assert_eq!(names.map(shortened), ["a name of twenty-four c.", "a name of twenty-five c…"]);
    }
}
