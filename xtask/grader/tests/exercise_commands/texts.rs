//! What a learner reads of each exercise.

use std::fs;
use std::path::Path;

use grader::exercise::folders::{self, BEYOND};
use grader::exercise::markdown;
use grader::exercise::paint::Paint;

/// The book promises 80 columns for all texts of a learner.
#[test]
fn briefs_hints_starters_and_solutions_fit_the_screen() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for exercise in folders::load(&real).expect("the exercises") {
        let mut pages = exercise.hints().expect("hints");
        pages.push(exercise.brief().expect("a brief"));
        let shown = |text: &String| markdown::page(text, 80, Paint::default());
        let mut pages: Vec<String> = pages.iter().map(shown).collect();
        for path in [exercise.starter(), exercise.solution()] {
            pages.push(fs::read_to_string(path).expect("a program"));
        }
        for line in pages.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= 80, "{}: {line}", exercise.name);
            assert!(!line.contains("**"), "{}: {line}", exercise.name);
        }
        let solution = pages.last().expect("the solution");
        let mut above = "";
        for line in solution.lines() {
            let Some(carets) = carets(line) else {
                above = line;
                continue;
            };
            let under: Vec<char> = above.chars().collect();
            let code = |at: usize| under.get(at).is_some_and(|letter| *letter != ' ');
            let right = code(carets.start) && code(carets.end - 1);
            assert!(
                right,
                "{}: the carets are not under what they mean:\n{above}\n{line}",
                exercise.name
            );
        }
    }
}

/// The columns of the carets in a comment that points at the line above it.
fn carets(line: &str) -> Option<std::ops::Range<usize>> {
    let from = line.trim_start().strip_prefix("//")?.trim_start();
    let length = from.chars().take_while(|letter| *letter == '^').count();
    let start = line.chars().count() - from.chars().count();
    (length > 0).then_some(start..start + length)
}

/// All briefs introduce the acceptance rule with the same words, and each exercise has a place on a
/// page of its day. `book check` tests that the place exists.
#[test]
fn each_exercise_says_when_it_is_passed_and_has_a_place_of_its_own() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut places = std::collections::BTreeSet::new();
    for exercise in folders::load(&real).expect("the exercises") {
        let brief = exercise.brief().expect("a brief");
        let rules =
            brief.lines().filter(|line| line.starts_with("It is passed when, for ")).count();
        assert_eq!(rules, 1, "{}: its brief says once when it is passed", exercise.name);
        let place = exercise.about.book.clone();
        let (page, _) = place.split_once('#').expect("a place on its page");
        // Day 4 has several: `day4.html`, `day4-echo.html`. A chapter after the journal has a name.
        let of_day = page.strip_prefix(&format!("day{}", exercise.day));
        let is_its = of_day.is_some_and(|rest| rest.starts_with(['.', '-']));
        assert!(is_its || exercise.day == BEYOND && !page.starts_with("day"), "{place}");
        assert!(places.insert(place.clone()), "{}: {place} is another's, too", exercise.name);
    }
}
