//! The steps in words: present tense, one or two short sentences.

use common::text::plural;
use common::token::Token;

use crate::event::{Complete, Enter, Register, Return, Setup, Submit};

use super::recording::{Completion, Entry};

/// A ring is made.
pub fn setup(program: &str, setup: &Setup) -> String {
    let Some(granted) = &setup.granted else { return String::new() };
    let poller = if granted.flags.iter().any(|flag| flag == "SQPOLL") {
        // 0 leaves it to the kernel, which takes a second.
        let idle = if granted.sq_thread_idle == 0 { 1000 } else { granted.sq_thread_idle };
        format!(", and a kernel thread that polls it and sleeps after {idle} ms without work")
    } else {
        String::new()
    };
    format!(
        "{program} asks for {}. The kernel grants a submission queue of {} and a completion \
         queue of {}{poller}.",
        plural(setup.asked_entries, "entry"),
        granted.sq_entries,
        granted.cq_entries
    )
}

/// Something is registered.
pub fn register(register: &Register) -> String {
    let detail = if register.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", without_descriptors(&register.detail, ""))
    };
    format!("The program registers what its operations will use, {}{detail}.", register.op)
}

/// An entry as it is shown, of any program.
pub fn entry_as_it_is(seq: u64, submit: &Submit) -> Entry {
    let slot = submit.details.get("slot").and_then(serde_json::Value::as_u64);
    Entry {
        seq,
        op: submit.op.clone(),
        what: submit.words.clone(),
        token: submit.meaning.clone(),
        slot: slot.and_then(|slot| u32::try_from(slot).ok()),
    }
}

/// An entry of a day as it is shown, without what differs from run to run.
pub fn entry(seq: u64, submit: &Submit) -> Entry {
    let token = token(&submit.user_data, &submit.meaning);
    let what = without_descriptors(&submit.words, &submit.meaning);
    let token = token.map_or_else(|| submit.meaning.clone(), |token| masked(&token));
    Entry { what, token, ..entry_as_it_is(seq, submit) }
}

/// A completion as it is shown.
pub fn completion(seq: u64, complete: &Complete) -> Completion {
    Completion {
        seq,
        op: complete.op.clone().unwrap_or_default(),
        result: complete.words.clone(),
        error: complete.error.is_some(),
        more: complete.more,
    }
}

/// The token, if that is what the tracer took the `user_data` for.
fn token(user_data: &str, meaning: &str) -> Option<Token> {
    let value = u64::from_str_radix(user_data.strip_prefix("0x")?, 16).ok()?;
    Token::unpack(value).filter(|token| token.to_string() == meaning)
}

/// A token without its generation, which may differ from run to run.
fn masked(token: &Token) -> String {
    let text = token.to_string();
    text.split_once(" #").map_or(text.clone(), |(before, _)| before.to_string())
}

/// `fd 3` tells a reader nothing: name the descriptor by its purpose.
fn without_descriptors(words: &str, meaning: &str) -> String {
    let name = match meaning {
        "signal" => "the signalfd",
        "accept" => "the listener",
        _ => "the ring's descriptor",
    };
    let Some((before, after)) = words.split_once("fd ") else { return words.to_string() };
    let rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
    if rest.len() == after.len() { words.to_string() } else { format!("{before}{name}{rest}") }
}

/// Entries are written.
pub fn push(entries: &[Entry]) -> String {
    // Many entries are named by what tells them apart; their details stand with each entry.
    let brief = entries.len() > 3;
    let name = |entry: &Entry| if brief { in_brief(entry) } else { named(entry) };
    let list: Vec<String> = entries.iter().map(name).collect();
    format!(
        "The program writes {} and moves the tail: {}. That is only memory, no system call.",
        plural(entries.len(), "entry"),
        list.join("; ")
    )
}

fn in_brief(entry: &Entry) -> String {
    match entry.slot {
        Some(slot) => format!("{} slot {slot}", entry.op),
        None => entry.op.clone(),
    }
}

fn named(entry: &Entry) -> String {
    if entry.what.is_empty() {
        format!("{} [{}]", entry.op, entry.token)
    } else {
        format!("{} {}", entry.op, entry.what)
    }
}

/// Whether the wait has a limit so short that it does not count as a sleep for want of clients.
pub fn is_short(enter: &Enter) -> bool {
    const SHORT_US: u64 = 1_000_000;
    enter.at_most_us.is_some_and(|limit| limit < SHORT_US)
}

/// The program calls the kernel, which takes so many entries.
pub fn enter(enter: &Enter, takes: usize, wakes: bool) -> String {
    let wait = match enter.min_complete {
        0 => "and does not wait".to_string(),
        count => format!("and waits for {}", plural(count, "completion")),
    };
    let limit = if is_short(enter) { ", for a moment at most" } else { "" };
    match (wakes, takes) {
        (true, _) => format!("io_uring_enter wakes the polling thread {wait}{limit}."),
        (false, 0) => format!("io_uring_enter submits nothing {wait}{limit}."),
        (false, takes) => format!(
            "io_uring_enter: one system call submits {} {wait}{limit}. The kernel moves the head.",
            plural(takes, "entry")
        ),
    }
}

/// Completions are posted.
pub fn complete(completions: &[Completion]) -> String {
    let all = completions.len() > 1 && completions.iter().all(|completion| completion.more);
    let list: Vec<String> = completions
        .iter()
        .map(|completion| {
            let armed = if completion.more && !all { ", and stays armed (MORE)" } else { "" };
            format!("{} {}{armed}", completion.op, completion.result)
        })
        .collect();
    format!(
        "The kernel posts {} and moves the tail: {}.{}",
        plural(completions.len(), "completion"),
        list.join("; "),
        if all { " Every one of these entries stays armed (MORE)." } else { "" }
    )
}

/// The call returns.
pub fn returned(back: &Return) -> String {
    match &back.error {
        Some(error) => format!("The call returns {error}."),
        None if back.result == 0 => "The call returns: the wait is over.".to_string(),
        None => format!("The call returns {}, the number of entries taken.", back.result),
    }
}

/// Completions are read.
pub fn reap(count: u32) -> String {
    format!("The program reads {} and moves the head. No system call.", plural(count, "completion"))
}

/// `woken`: within the call that woke it.
pub fn take(woken: bool) -> String {
    if woken {
        "The polling thread is awake again. It finds the entry and moves the head.".to_string()
    } else {
        "The polling thread is awake. It finds the entry and moves the head. No system call."
            .to_string()
    }
}
