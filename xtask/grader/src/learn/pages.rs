//! The pages of `learn`, as lines that fit a terminal.

use common::text::wrap;

use super::course::Course;
use super::session::{Page, Question, Session};
use crate::exercise::folders::heading;
use crate::exercise::markdown;
use crate::exercise::record::Record;
use crate::exercise::verdict::Verdict;
use ringtrace::{summary_text, text};

/// All keys, as Markdown.
pub fn keys(plain: bool) -> String {
    let check = if plain { "c       " } else { "c, Enter" };
    let choose = if plain { "a number opens one" } else { "arrows or a number, and Enter" };
    let more = match plain {
        true => "",
        false => {
            "    \
    arrows, j, k, space, PgUp, PgDn, Home, End   move in the page
    Ctrl-Z     suspend; `fg` comes back
"
        }
    };
    format!(
        "\
# The keys

    e          open the program in your editor (VISUAL or EDITOR)
    {check}   check it now; every save checks it too
    i          the task
    h          a hint, and each time one more
    t          the whole trace of the last run
    b          the place in the book
    s          the solution, when you have passed or given up

    n          the next exercise; during a test, ends it
    p          the previous one
    l          all exercises: {choose}
    r          put the starter back; your program is kept
    u          bring your program back

{more}    q          quit; what you passed is remembered
"
    )
}

/// The most trace lines on the page.
const TRACED: usize = 2000;

/// The page, and the texts above and below it.
impl Session {
    /// The page, in lines that are wrapped at `width` columns where possible.
    pub fn page(&self, width: usize) -> String {
        match &self.page {
            Page::Brief(text) | Page::Text(text) => markdown::page(text, width, self.paint),
            Page::Keys => markdown::page(&keys(self.plain), width, self.paint),
            Page::Solution(text) => text.clone(),
            Page::Verdict(verdict) => {
                let words = verdict.text_within(width, self.exercise(), self.paint);
                words + &what_next(&self.course, verdict)
            }
            Page::Trace(record) => trace(record, width),
            Page::List(choice) => list(&self.course, choice.at, width),
        }
    }

    /// The learner's place, in one line.
    pub fn header(&self) -> String {
        let exercise = self.exercise();
        let mark = match self.course.progress.mark(&exercise.name) {
            '+' => ", passed",
            'x' => ", given up",
            '-' => ", skipped",
            _ => "",
        };
        let day = match self.course.testing {
            true => format!("Test of day {}", exercise.day),
            false => heading(exercise.day),
        };
        format!("{day}: {} ({} minutes{mark})", exercise.name, exercise.about.minutes)
    }

    /// The progress, as a bar and in words.
    pub fn bar(&self) -> String {
        const WIDTH: usize = 24;
        let filled = self.course.marked('+') * WIDTH / self.course.all.len().max(1);
        format!("[{}{}] {}", "#".repeat(filled), "-".repeat(WIDTH - filled), self.done())
    }

    /// The progress, in words.
    pub fn done(&self) -> String {
        let mut line = format!("{} of {} passed", self.course.marked('+'), self.course.all.len());
        for (mark, what) in [('x', "given up"), ('?', "not observed"), ('-', "skipped")] {
            let number = self.course.marked(mark);
            if number > 0 {
                line.push_str(&format!(", {number} {what}"));
            }
        }
        line
    }

    /// The keys for the present page.
    pub fn keys(&self) -> Vec<&'static str> {
        match (self.question, &self.page) {
            (Some(Question::GiveUp), _) => {
                vec!["y give up and see the solution", "any other key: not yet"]
            }
            (Some(Question::Reset), _) => vec!["y put the starter back", "any other key: no"],
            (Some(Question::EndTest), _) => {
                vec!["y end the test and start with this day", "any other key: not yet"]
            }
            (None, Page::List(_)) if self.plain => {
                vec!["a number opens that one", "i task", "? keys", "q quit"]
            }
            (None, Page::List(_)) => {
                vec!["number or arrows choose", "Enter opens", "i task", "? keys", "q quit"]
            }
            (None, _) => self.keys_of_an_exercise(),
        }
    }

    fn keys_of_an_exercise(&self) -> Vec<&'static str> {
        let course = &self.course;
        let ends_test = course.testing && !course.is_passed();
        let goes_on = !ends_test && course.next().is_some() && course.is_behind();
        [
            ("n end the test", ends_test),
            ("n next", goes_on),
            ("e edit", true),
            ("i task", true),
            ("h hint", !goes_on),
            ("t trace", true),
            ("b book", true),
            ("s solution", !ends_test),
            ("l list", true),
            ("? keys", true),
            ("q quit", true),
        ]
        .into_iter()
        .filter_map(|(key, here)| here.then_some(key))
        .collect()
    }
}

/// The next steps after a verdict.
fn what_next(course: &Course, verdict: &Verdict) -> String {
    let day = course.exercise().day;
    let next = match (verdict, verdict.word(), course.testing) {
        (Verdict::Passed(_), _, true) => {
            format!("n  the test goes on; the rest of day {day} is skipped")
        }
        (Verdict::Passed(_), _, false) if course.open_ones() > 0 => "n  the next exercise".into(),
        (Verdict::Passed(_), _, false) => {
            let skipped = course.skipped();
            let all = "That was the last one: all exercises are done.".to_string();
            format!("\n  {}", skipped.map_or(all, |words| format!("No other is open. {words}")))
        }
        (_, "not observed", true) => format!("n  ends the test and starts with day {day}"),
        (_, "not observed", false) => "n  the next exercise; this one stays open".into(),
        _ => return String::new(),
    };
    let solution = match verdict.passed() {
        true => "  s  the solution, to compare with yours\n",
        false => "",
    };
    format!("\n{solution}  {next}\n")
}

fn trace(record: &Record, width: usize) -> String {
    let shown = &record.events[..record.events.len().min(TRACED)];
    let mut page = wrap(&record.did, width, 0);
    page.push_str("\n\n→ the program asks  ← the kernel answers  [user_data]\n\n");
    page.push_str(&text::lines(shown, width.saturating_sub(2)).join("\n"));
    if record.events.len() > TRACED {
        page.push_str(&format!("\n… and {} more", record.events.len() - TRACED));
    }
    page.push_str("\n\n");
    page + &summary_text::page(&record.summary, None)
}

fn list(course: &Course, chosen: usize, width: usize) -> String {
    // Number and marks, name, minutes.
    let room = width.saturating_sub(7 + 18 + 8).clamp(10, 44);
    let marks = "+ passed   x given up   ? not observed   - skipped   > you are here";
    let mut page = wrap(marks, width, 0) + "\n";
    let mut day = 0;
    for (nth, exercise) in course.all.iter().enumerate() {
        if exercise.day != day {
            day = exercise.day;
            page.push_str(&format!("\n{}\n", heading(day)));
        }
        let here = if nth == chosen { '>' } else { ' ' };
        let mark = course.progress.mark(&exercise.name);
        let mut title = exercise.about.title.clone();
        if title.chars().count() > room {
            title = title.chars().take(room - 1).chain(['…']).collect();
        }
        page.push_str(&format!(
            "{here} {mark} {:>2} {:<18}{title:<room$} {:>3} min\n",
            nth + 1,
            exercise.name,
            exercise.about.minutes
        ));
    }
    let here = |name: &&String| course.all.iter().any(|exercise| exercise.name == **name);
    let gone: Vec<&str> =
        course.progress.passed.iter().filter(|name| !here(name)).map(String::as_str).collect();
    if !gone.is_empty() {
        let words = format!("Passed, and no longer in the list: {}", gone.join(", "));
        page.push_str(&format!("\n{}\n", wrap(&words, width, 0)));
    }
    page
}

/// Joins groups of words into lines, as many groups as fit.
pub fn folded(parts: &[&str], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + part.len() <= width => {
                line.push_str("  ");
                line.push_str(part);
            }
            _ => lines.push((*part).to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_fit_eighty_columns() {
        let pages = [keys(true), keys(false)];
        assert!(pages.iter().flat_map(|page| page.lines()).all(|it| it.chars().count() <= 80));
    }
}
