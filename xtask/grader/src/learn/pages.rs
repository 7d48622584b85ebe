//! The pages of `learn`, as lines that fit a terminal.

use common::text::wrap;

use super::session::{Question, Session};
use crate::exercise::folders::heading;
use crate::exercise::markdown;
use crate::exercise::record::Record;
use crate::exercise::verdict::Verdict;
use ringtrace::{summary_text, text};

/// The page on the screen.
#[derive(Clone, Debug)]
pub enum Page {
    /// The exercise's brief, as Markdown.
    Brief(String),
    /// Another text, as Markdown.
    Text(String),
    /// The solution, whose lines are not wrapped.
    Solution(String),
    /// The verdict of the last check, and the next steps.
    Verdict(Box<Verdict>, String),
    /// The trace of the last run.
    Trace(Box<Record>),
    /// All exercises, to choose from.
    List(Choice),
}

/// The selected exercise of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its place among all.
    pub at: usize,
    /// The last typed digits.
    pub typed: String,
}

impl Choice {
    /// Selects the exercise whose number the digits make, if there is one.
    pub fn digit(&mut self, digit: char, count: usize) {
        self.typed.push(digit);
        let number = |digits: &str| digits.parse().ok().filter(|nth| (1..=count).contains(nth));
        if number(&self.typed).is_none() {
            self.typed = digit.to_string();
        }
        if let Some(nth) = number(&self.typed) {
            self.at = nth - 1;
        }
    }
}

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

impl Page {
    /// The lines, wrapped at `width` columns where possible.
    pub fn lines(&self, session: &Session, width: usize) -> String {
        let paint = session.paint;
        match self {
            Page::Brief(text) | Page::Text(text) => markdown::page(text, width, paint),
            Page::Solution(text) => text.clone(),
            Page::Verdict(verdict, next) => {
                verdict.text_within(width, session.exercise(), paint) + next
            }
            Page::Trace(record) => trace(record, width),
            Page::List(choice) => list(session, choice.at, width),
        }
    }
}

/// The texts above and below the page, and after a verdict.
impl Session {
    /// The learner's place, in one line.
    pub fn header(&self) -> String {
        let exercise = self.exercise();
        let mark = match self.progress.mark(&exercise.name) {
            '+' => ", passed",
            'x' => ", given up",
            '-' => ", skipped",
            _ => "",
        };
        let day = match self.testing {
            true => format!("Test of day {}", exercise.day),
            false => heading(exercise.day),
        };
        format!("{day}: {} ({} minutes{mark})", exercise.name, exercise.about.minutes)
    }

    /// How many exercises have this mark.
    pub(super) fn marked(&self, mark: char) -> usize {
        self.all.iter().filter(|exercise| self.progress.mark(&exercise.name) == mark).count()
    }

    /// The progress, as a bar and in words.
    pub fn bar(&self) -> String {
        const WIDTH: usize = 24;
        let filled = self.marked('+') * WIDTH / self.all.len().max(1);
        format!("[{}{}] {}", "#".repeat(filled), "-".repeat(WIDTH - filled), self.done())
    }

    /// The progress, in words.
    pub fn done(&self) -> String {
        let mut line = format!("{} of {} passed", self.marked('+'), self.all.len());
        for (mark, what) in [('x', "given up"), ('?', "not observed"), ('-', "skipped")] {
            let number = self.marked(mark);
            if number > 0 {
                line.push_str(&format!(", {number} {what}"));
            }
        }
        line
    }

    /// The next steps after a verdict.
    pub(super) fn what_next(&self, verdict: &Verdict) -> String {
        let day = self.exercise().day;
        let next = match (verdict, verdict.word(), self.testing) {
            (Verdict::Passed(_), _, true) => {
                format!("n  the test goes on; the rest of day {day} is skipped")
            }
            (Verdict::Passed(_), _, false) if self.open_ones() > 0 => "n  the next exercise".into(),
            (Verdict::Passed(_), _, false) => {
                let skipped = self.skipped();
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

    fn open_ones(&self) -> usize {
        self.all.iter().filter(|exercise| !self.progress.is_behind(&exercise.name)).count()
    }

    /// The keys for the present page.
    pub fn keys(&self) -> &'static [&'static str] {
        match (self.question, &self.page) {
            (Some(Question::GiveUp), _) => {
                &["y give up and see the solution", "any other key: not yet"]
            }
            (Some(Question::Reset), _) => &["y put the starter back", "any other key: no"],
            (Some(Question::EndTest), _) => {
                &["y end the test and start with this day", "any other key: not yet"]
            }
            (None, Page::List(_)) if self.plain => {
                &["a number opens that one", "i task", "? keys", "q quit"]
            }
            (None, Page::List(_)) => {
                &["number or arrows choose", "Enter opens", "i task", "? keys", "q quit"]
            }
            (None, _) if self.testing && !self.is_passed() => &[
                "n end the test",
                "e edit",
                "i task",
                "h hint",
                "t trace",
                "b book",
                "l list",
                "? keys",
                "q quit",
            ],
            (None, _) if self.next().is_some() && self.is_behind() => &[
                "n next",
                "e edit",
                "i task",
                "t trace",
                "b book",
                "s solution",
                "l list",
                "? keys",
                "q quit",
            ],
            (None, _) => &[
                "e edit",
                "i task",
                "h hint",
                "t trace",
                "b book",
                "s solution",
                "l list",
                "? keys",
                "q quit",
            ],
        }
    }
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

fn list(session: &Session, chosen: usize, width: usize) -> String {
    // Number and marks, name, minutes.
    let room = width.saturating_sub(7 + 18 + 8).clamp(10, 44);
    let marks = "+ passed   x given up   ? not observed   - skipped   > you are here";
    let mut page = wrap(marks, width, 0) + "\n";
    let mut day = 0;
    for (nth, exercise) in session.all.iter().enumerate() {
        if exercise.day != day {
            day = exercise.day;
            page.push_str(&format!("\n{}\n", heading(day)));
        }
        let here = if nth == chosen { '>' } else { ' ' };
        let mark = session.progress.mark(&exercise.name);
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
    let here = |name: &&String| session.all.iter().any(|exercise| exercise.name == **name);
    let gone: Vec<&str> =
        session.progress.passed.iter().filter(|name| !here(name)).map(String::as_str).collect();
    if !gone.is_empty() {
        let words = format!("Passed, and no longer in the list: {}", gone.join(", "));
        page.push_str(&format!("\n{}\n", wrap(&words, width, 0)));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_point_at_an_exercise() {
        let mut choice = Choice { at: 6, typed: String::new() };
        choice.digit('2', 24);
        assert_eq!(choice.at, 1);
        choice.digit('3', 24);
        assert_eq!(choice.at, 22);
        // There is no exercise 234, but there is a 4.
        choice.digit('4', 24);
        assert_eq!(choice.at, 3);
        choice.digit('0', 24);
        assert_eq!(choice.at, 3, "neither 40 nor 0");
    }

    #[test]
    fn the_keys_fit_eighty_columns() {
        let pages = [keys(true), keys(false)];
        assert!(pages.iter().flat_map(|page| page.lines()).all(|it| it.chars().count() <= 80));
    }
}
