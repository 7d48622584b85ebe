//! The totals, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::text::WIDTH;
use common::text::plural;

use super::context::span;
use super::event::Diagnosis;
use super::summary::{Completions, Places, Summary};
use super::times::{Slow, Spread, Times};
use super::wrap::{folded, unbroken};

/// How many names of other system calls are listed.
const CALLS: usize = 12;

/// The totals as a page of text; `requests` adds how many system calls each took.
pub fn page(summary: &Summary, requests: Option<u64>) -> String {
    let mut page = String::from("Summary\n");
    if summary.rings == 0 {
        no_ring(&mut page, summary);
    } else {
        rings(&mut page, summary);
    }
    calls(&mut page, summary, requests);
    diagnoses(&mut page, summary);
    page.lines().map(|line| folded(line, WIDTH, 4) + "\n").collect()
}

fn no_ring(page: &mut String, summary: &Summary) {
    if summary.refused.is_empty() && summary.fast {
        let _ =
            writeln!(page, "  No ring was set up; without --fast a refused one would be named.");
    } else if summary.refused.is_empty() && summary.let_go {
        let _ = writeln!(page, "  The program has no ring, and asked for none meanwhile.");
    } else if summary.refused.is_empty() {
        let _ = writeln!(page, "  The program never asked for a ring.");
    } else {
        let _ =
            writeln!(page, "  Every ring was refused: {}.", counts(&summary.refused, usize::MAX));
        if let Some(refused) = &summary.refused_ring {
            let (why, remedy) = refused.explained();
            let _ = writeln!(page, "  why: {why}\n  try: {remedy}");
        }
    }
}

fn rings(page: &mut String, summary: &Summary) {
    let entries = summary.all_entries();
    let enters = summary.enters;
    let _ = writeln!(page, "  {:<22}{:>9}", "rings", summary.rings);
    let _ = write!(page, "  {:<22}{enters:>9}", "enters");
    let _ = match summary.failed_enters.is_empty() {
        true => writeln!(page),
        false => writeln!(page, "   failed: {}", counts(&summary.failed_enters, usize::MAX)),
    };
    if summary.rings == summary.not_followed.values().sum::<u64>() {
        let _ = writeln!(page);
        doubts(page, summary);
        return;
    }
    let _ = write!(page, "  {:<22}{entries:>9}", "entries");
    let _ = match enters {
        0 => writeln!(page),
        _ => writeln!(page, "   {:.2} an enter", entries as f64 / enters as f64),
    };
    let _ = writeln!(page, "  {:<22}{:>9}", "completions", summary.all_completions());
    operations(page, summary);
    places(page, summary);
    times(page, summary);
    ends(page, summary);
    doubts(page, summary);
}

fn operations(page: &mut String, summary: &Summary) {
    let mut rows: BTreeMap<&str, (u64, Completions)> = BTreeMap::new();
    for (op, count) in &summary.entries {
        rows.entry(op).or_default().0 = *count;
    }
    for (op, completions) in &summary.completions {
        rows.entry(op).or_default().1 = *completions;
    }
    let _ = writeln!(
        page,
        "\n  {:<22}{:>9}{:>13}{:>9}{:>9}",
        "operation", "entries", "completions", "errors", "MORE"
    );
    for (op, (entries, completions)) in rows {
        let Completions { count, errors, more, .. } = completions;
        let _ = writeln!(page, "  {op:<22}{entries:>9}{count:>13}{errors:>9}{more:>9}");
    }
}

/// Where the operations ran. `at once` is in the enter or in the polling thread.
fn places(page: &mut String, summary: &Summary) {
    let row = |cells: [&dyn std::fmt::Display; 6]| {
        let [at_once, polled, worker, device, other, concluded] = cells;
        format!("{at_once:>9}{polled:>9}{worker:>9}{device:>9}{other:>9}{concluded:>11}")
    };
    let heads = row([&"at once", &"polled", &"worker", &"device", &"other", &"concluded"]);
    let _ = writeln!(page, "\n  {:<22}{heads}", "where it ran");
    for (op, Completions { ran, .. }) in &summary.completions {
        let (at_once, other) = (ran.inline + ran.poller, ran.timer + ran.event);
        let cells = [&at_once, &ran.polled, &ran.worker, &ran.device, &other, &ran.concluded];
        let _ = writeln!(page, "  {op:<22}{}", row(cells.map(|cell| cell as _)));
    }
    if summary.tracepoints {
        let of = |count: fn(&Places) -> u64| -> u64 {
            summary.completions.values().map(|completions| count(&completions.ran)).sum()
        };
        let (exact, mistaken) = (of(|ran| ran.exact), of(|ran| ran.mistaken));
        let _ = writeln!(
            page,
            "  By the kernel's tracepoints: {exact}. Without them, {mistaken} of these would be \
             elsewhere."
        );
    }
    if summary.workers > 0 {
        let _ = writeln!(page, "  {:<22}{:>9}", "workers at most", summary.workers);
    }
}

/// How long the operations took, and their completions lay in the queue.
fn times(page: &mut String, summary: &Summary) {
    if summary.times.is_empty() {
        return;
    }
    let _ = writeln!(page);
    let heads = ["how long", "min", "median", "p99", "max", "to reap", "max"];
    let mut row = |[op, min, median, p99, max, reaping, reaping_max]: [&str; 7]| {
        let _ = write!(page, "  {op:<22}{min:>9}{median:>9}{p99:>9}{max:>9}");
        let _ = writeln!(page, "{reaping:>10}{reaping_max:>9}");
    };
    row(heads);
    for (op, took) in &summary.times {
        let told = |times: &Times, part: fn(Spread) -> u64| {
            times.spread().map_or_else(|| "-".to_string(), |spread| span(part(spread)))
        };
        let of = |part| told(&took.completing, part);
        let (min, median) = (of(|it| it.min_us), of(|it| it.median_us));
        let (p99, max) = (of(|it| it.p99_us), of(|it| it.max_us));
        let reaping = told(&took.reaping, |it| it.median_us);
        let reaping_max = told(&took.reaping, |it| it.max_us);
        row([op, &min, &median, &p99, &max, &reaping, &reaping_max]);
    }
    if !summary.slowest.is_empty() {
        let _ = writeln!(page, "  the slowest:");
    }
    for Slow { us, seq, op, meaning, ran, .. } in &summary.slowest {
        let ran = ran.map(|ran| format!(", {ran}")).unwrap_or_default();
        let _ = writeln!(page, "    {:<8} entry {seq} {op}{ran} [{meaning}]", span(*us));
    }
}

fn ends(page: &mut String, summary: &Summary) {
    let _ = writeln!(page);
    let end = match summary.let_go {
        true => "ringtrace let go",
        false => "the rings were closed",
    };
    if summary.armed.is_empty() && summary.unseen_completions > 0 {
        let _ = writeln!(
            page,
            "  What was under way when {end} is not known: completions went by unseen."
        );
    } else if summary.armed.is_empty() {
        let _ = writeln!(page, "  Nothing was under way when {end}.");
    } else {
        let end = if summary.let_go { end } else { "the ring was closed" };
        let _ = writeln!(page, "  Still under way when {end}:");
        for armed in summary.armed.iter().take(CALLS) {
            let linked = if armed.linked { ", links the next" } else { "" };
            let what = format!("{} {}", armed.op, armed.words);
            let what = what.trim_end();
            let _ = writeln!(page, "    {} {what}{linked} [{}]", armed.seq, armed.meaning);
        }
        if summary.armed.len() > CALLS {
            let _ = writeln!(page, "    and {} more", summary.armed.len() - CALLS);
        }
    }
    if summary.before > 0 {
        let entries = plural(summary.before, "entry");
        let _ =
            writeln!(page, "  {entries} from before ringtrace joined may be under way as well.");
    }
    let ends = [
        (summary.never_submitted, "entries published and never submitted"),
        (summary.never_reaped, "completions posted and never reaped"),
        (summary.overflows, "enters that returned with the completion queue full"),
        (
            summary.closed_overflowing,
            "rings closed with the queue full and more completions waiting, unseen",
        ),
        (summary.dropped, "entries dropped, for their index was out of range"),
        (summary.lost, "completions discarded by the kernel"),
    ];
    for (count, what) in ends {
        if count > 0 {
            let _ = writeln!(page, "  {what}: {count}");
        }
    }
}

fn doubts(page: &mut String, summary: &Summary) {
    let (entries, completions) = (summary.unseen_entries, summary.unseen_completions);
    if entries + completions > 0 {
        let _ = writeln!(
            page,
            "  Unseen, for they were overwritten between two looks: {entries} entries, \
             {completions} completions.\n  The totals above count them; the table does not."
        );
    }
    for (reason, count) in &summary.not_followed {
        let rings = plural(*count, "ring");
        let _ = writeln!(page, "  {rings} could not be followed: {reason}.");
    }
    if summary.not_followed.keys().any(|reason| reason.ends_with("EPERM")) {
        let _ = writeln!(
            page,
            "  A program hides its memory from other users and their tracers if its file may be \
             run but not read, if it has another user's rights, or if it asked for that \
             (PR_SET_DUMPABLE).\n  try: trace it as root"
        );
    }
    if summary.polled {
        let _ = writeln!(
            page,
            "  A kernel thread polls for entries: the ring was sampled. What an entry points at (a \
             path, data) is shown if it could be read before the thread took the entry."
        );
    }
}

fn calls(page: &mut String, summary: &Summary, requests: Option<u64>) {
    let _ = writeln!(page);
    if !summary.registers.is_empty() {
        let _ = writeln!(page, "  io_uring_register: {}", counts(&summary.registers, CALLS));
    }
    if summary.fast {
        let _ = writeln!(page, "  other system calls: not counted (--fast)");
        return;
    }
    let others: u64 = summary.other_calls.values().sum();
    let _ = writeln!(page, "  other system calls: {others}");
    if others > 0 {
        let _ = writeln!(page, "    {}", counts(&summary.other_calls, CALLS));
    }
    if let Some(requests) = requests.filter(|requests| *requests > 0) {
        let each = |count: u64| count as f64 / requests as f64;
        let _ = writeln!(
            page,
            "\n  per request, of {requests}: {:.2} enters, {:.2} entries, {:.2} system calls of any kind",
            each(summary.enters),
            each(summary.all_entries()),
            each(summary.all_calls()),
        );
        let _ = writeln!(page, "  (those of the program's start and end are among them)");
    }
}

fn diagnoses(page: &mut String, summary: &Summary) {
    // That there is no ring, and why, stands above.
    let told = |it: &&Diagnosis| summary.rings == 0 && it.kind == "setup-refused";
    let rest: Vec<&Diagnosis> = summary.diagnoses.iter().filter(|it| !told(it)).collect();
    if rest.is_empty() {
        return;
    }
    let _ = writeln!(page, "\nDiagnosis");
    for diagnosis in rest {
        let ring = match diagnosis.ring {
            Some(ring) if summary.rings > 1 => format!("ring {ring}: "),
            _ => String::new(),
        };
        let Diagnosis { kind, seen, book, times, .. } = diagnosis;
        let more = match times {
            0 | 1 => String::new(),
            times => format!(" ({times} times; the first is shown)"),
        };
        let advice = diagnosis.advice();
        let _ = writeln!(page, "  {kind}: {ring}{seen}{more}\n    {advice}\n    book: {book}");
    }
}

/// `read 12, mmap 3`, the most frequent first.
fn counts(counts: &BTreeMap<String, u64>, most: usize) -> String {
    let mut sorted: Vec<(&String, &u64)> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut names: Vec<String> = sorted
        .iter()
        .take(most)
        .map(|(name, count)| unbroken(&format!("{name} {count}")))
        .collect();
    if sorted.len() > most {
        names.push(format!("and {} others", sorted.len() - most));
    }
    names.join(", ")
}
