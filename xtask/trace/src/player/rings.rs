//! The rings of a whole run, each as a recording that the player plays.

use serde_json::{Value, json};

use super::recording::{Recording, counts};
use super::steps::Item;
use super::story;
use crate::event::{Event, What};
use crate::summary::Summary;

/// How many steps of a ring are played: a browser has to draw each.
const MOST_STEPS: usize = 4_000;

/// The first `most` rings of a run; their number is their place in the trace.
pub fn of_run(command: &str, kernel: &str, events: &[Event], most: usize) -> Vec<Recording> {
    let items: Vec<Item> = events.iter().map(|event| Item::Event(event.what.clone())).collect();
    let begun = events.iter().enumerate().filter_map(|(at, event)| Some((at, begun(&event.what)?)));
    let recorded = begun.take(most).filter_map(|(at, ring)| {
        let program = program(command, &events[..at], events[at].tid);
        let story = story::whole(&items, ring, &program, MOST_STEPS)?;
        Some(Recording {
            name: format!("ring-{ring}"),
            title: format!("Ring {ring}"),
            program,
            command: command.to_string(),
            kernel: kernel.to_string(),
            rings: vec![story.shape],
            counts: counts(&story.steps),
            steps: story.steps,
        })
    });
    recorded.collect()
}

/// The rings of a run, and what is wrong, for the book's pages, which show a ring at a time.
pub fn page(command: &str, kernel: &str, events: &[Event], summary: &Summary) -> Value {
    const MOST: usize = 64;
    let diagnoses: Vec<Value> = summary
        .diagnoses
        .iter()
        .map(|it| json!({ "seen": it.seen, "advice": it.advice(), "book": it.book }))
        .collect();
    json!({ "rings": of_run(command, kernel, events, MOST), "diagnoses": diagnoses })
}

/// How many rings there are in a run.
pub fn number(events: &[Event]) -> usize {
    events.iter().filter(|event| begun(&event.what).is_some()).count()
}

/// The ring that begins with an event.
fn begun(what: &What) -> Option<u32> {
    match what {
        What::Setup(setup) => setup.granted.as_ref().and(setup.ring),
        What::Found(found) => found.ring,
        _ => None,
    }
}

/// The name of the program that a task ran after these events: the program of its process if that
/// is known, otherwise the program that started last.
fn program(command: &str, events: &[Event], tid: i32) -> String {
    let started = || {
        events.iter().rev().filter_map(|event| match &event.what {
            What::Start(start) => Some((start.pid, start.program.as_str())),
            _ => None,
        })
    };
    let own = started().find(|(pid, _)| *pid == tid).or_else(|| started().next());
    let path = own.map_or(command.split(' ').next().unwrap_or_default(), |(_, path)| path);
    path.rsplit('/').next().unwrap_or(path).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Start;

    #[test]
    fn a_ring_is_that_of_the_program_that_made_it() {
        let start = |pid, program: &str| Event {
            us: 0,
            tid: pid,
            what: What::Start(Start { pid, program: program.to_string() }),
        };
        let events = [start(1, "/bin/sh"), start(2, "target/debug/day01"), start(3, "/bin/nc")];
        assert_eq!(program("sh -c", &events, 1), "sh");
        assert_eq!(program("sh -c", &events, 2), "day01");
        assert_eq!(program("sh -c", &events, 9), "nc", "a thread of some process");
        assert_eq!(program("./server --x", &[], 9), "server");
    }
}
