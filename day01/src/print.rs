//! What the day says, for people and for programs. Pure functions of the survey: the same
//! answers give the same text on every machine.

use anyhow::Result;
use common::catalog::{Entry, OPERATIONS};
use common::environment::Environment;
use serde_json::{Value, json};

use crate::operations::{Operations, Which, row};
use crate::survey::{Greeting, Sizes, Survey};

/// The whole survey, for people. The long list comes early, so that a small terminal shows
/// the greeting and not the list when we are done.
pub fn text(survey: &Survey, which: Which, long: bool) -> String {
    let mut sections = vec![machine(&survey.machine)];
    match &survey.supported {
        Some(codes) => sections.push(Operations { codes }.text(which, long)),
        None if survey.refusal.is_none() => sections.push(no_probe()),
        None => {}
    }
    sections.extend(survey.ring.as_ref().map(ring));
    sections.extend(survey.greeting.as_ref().map(greeting));
    sections.push(days(survey));
    if survey.refusal.is_none() {
        sections.push(next());
    }
    sections.join("\n")
}

fn fact(label: &str, value: &str) -> String {
    row(12, label, value)
}

fn machine(machine: &Environment) -> String {
    let rows = machine.describe().map(|(label, value)| fact(label, &value));
    "This machine\n".to_string() + &rows.concat()
}

fn ring(sizes: &Sizes) -> String {
    format!("A ring of {}\n", sizes.asked)
        + &fact(
            "submissions",
            &format!("{} entries asked, {} granted", sizes.asked, sizes.sq_entries),
        )
        + &fact("completions", &format!("{} entries granted, with nothing asked", sizes.cq_entries))
}

fn greeting(greeting: &Greeting) -> String {
    let Greeting { user_data, text, res, enters } = greeting;
    let calls = if *enters == 1 { "call" } else { "calls" };
    "A greeting through the ring: a NOP, its user_data eight bytes of text\n".to_string()
        + &fact("completion", &format!("user_data {user_data:#018x}, result {res}"))
        + &fact("its bytes", &format!("\"{text}\""))
        + &fact("cost", &format!("{enters} {calls} of io_uring_enter, there and back"))
}

fn no_probe() -> String {
    "Operations: this kernel cannot be asked (IORING_REGISTER_PROBE came with 5.6)\n".to_string()
}

fn days(survey: &Survey) -> String {
    let mut text = "The four days on this machine\n".to_string();
    if let Some(refusal) = &survey.refusal {
        return text + &fact("none", &format!("can run: {}", refusal.what));
    }
    // Days that get the same answer share a line.
    for days in survey.days.chunk_by(|one, next| one.why_not == next.why_not) {
        let names: Vec<_> = days.iter().map(|day| day.name.as_str()).collect();
        let names = names.join(" ");
        text += &match &days[0].why_not {
            None => fact("ready", &names),
            Some(why) => fact("not here", &format!("{names}: {why}")),
        };
    }
    text
}

fn next() -> String {
    "Next\n\
     \x20 cargo run -p day01 -- --long          what each operation does, and since when\n\
     \x20 cargo run -p day01 -- --ops missing   what this kernel lacks\n\
     \x20 cargo run -p day02                    what a ring is asked for and granted\n"
        .to_string()
}

/// The whole survey with the catalogue's words, for programs: one object on one line.
pub fn json(survey: &Survey) -> Result<String> {
    let operations = survey.supported.as_ref().map(|codes| Operations { codes });
    let mut object = serde_json::to_value(survey)?;
    object["operations"] = json!(operations.map(|operations| described(&operations)));
    object["unknown"] = json!(operations.map(|operations| operations.unknown()));
    Ok(format!("{object}\n"))
}

fn described(operations: &Operations<'_>) -> Vec<Value> {
    let describe = |entry: &Entry| {
        json!({
            "name": entry.name,
            "code": entry.code,
            "since": entry.since.to_string(),
            "group": entry.group,
            "meaning": entry.meaning,
            "supported": operations.has(entry),
        })
    };
    OPERATIONS.entries.iter().map(describe).collect()
}
