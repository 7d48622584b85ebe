//! `one_submit`: one call of `io_uring_enter` for each turn, with one client and with many at once.

use crate::exercise::prelude::*;

/// The turns that one client takes: accept, receive, send, close.
const TURNS: u64 = 4;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let clients = attempt.number(10..=20);
    let did = format!("{clients} clients came, one after the other.");
    let before = Calls::of(&run.record());
    let measured = one_by_one(&mut run, clients - 1, |run| {
        let client = run.connect()?;
        let word = attempt.word(attempt.number(3..=60) as usize);
        echo(run, &client, word.as_bytes(), &did)?;
        expect_end(run, &client, &did)
    })?;
    need_slots(&run.record())?;
    let alone = few(&mut run, &before, clients * TURNS + 4, &did)?;

    let clients = attempt.number(16..=24);
    let did =
        format!("{clients} clients connected and sent their requests at once.");
    let before = Calls::of(&run.record());
    let came = at_once(&mut run, |run| {
        let one = |_| {
            let client = run.connect()?;
            let word = attempt.word(attempt.number(3..=60) as usize);
            send(run, &client, word.as_bytes(), &did)?;
            Ok((client, word))
        };
        (0..clients).map(one).collect::<Result<Vec<_>, Failure>>()
    });
    for (client, word) in came? {
        expect(&mut run, &client, word.as_bytes(), &did)?;
        expect_end(&mut run, &client, &did)?;
    }
    let client = run.connect()?;
    let word = attempt.word(30);
    let then = format!("{did} Then one connects alone.");
    echo(&mut run, &client, word.as_bytes(), &then)?;
    expect_end(&mut run, &client, &then)?;
    need_free_slots(&mut run, &did)?;
    let together = few(&mut run, &before, clients + 8 + TURNS, &did)?;
    sleeps_but_for(&mut run, 5)?;
    need_slots(&run.record())?;
    run.stop();
    Ok(Passed::new(format!(
        "{alone} calls for clients one by one, {together} for {clients} at once."
    ))
    .measured(measured))
}

/// How often the program has called io_uring_enter, or waited in another system call.
struct Calls {
    enters: u64,
    waits: u64,
}

impl Calls {
    fn of(record: &Record) -> Calls {
        let calls = &record.summary.other_calls;
        // A read of an eventfd that the ring signals is a wait, too.
        let names = WAITS.iter().chain(&["read"]);
        let waits = names.filter_map(|name| calls.get(*name)).sum();
        Calls { enters: record.summary.enters, waits }
    }
}

/// Fails if the program made more than `most` calls since then, or left completions in the queue.
/// Returns the number of calls.
fn few(
    run: &mut Run,
    before: &Calls,
    most: u64,
    did: &str,
) -> Result<u64, Failure> {
    run.did(did);
    let record = run.record();
    let now = Calls::of(&record);
    let (enters, waits) =
        (now.enters - before.enters, now.waits - before.waits);
    let calls = enters + waits;
    let seen = Seen::since(&record, before.enters);
    let left =
        if record.summary.unseen_completions > 0 { 0 } else { seen.left };
    // A call that only wakes a polling kernel thread does not count.
    let only = if record.summary.polled { 0 } else { seen.only_submit };
    // The last completion may have come too late for the record.
    if calls <= most && left <= 2 && only <= 2 {
        return Ok(calls);
    }
    let rule = if waits > calls / 4 {
        format!(
            "{waits} of the {calls} calls waited, and were not io_uring_enter. One call submits \
             and waits: `submit_and_wait(1)`."
        )
    } else if only > left && only > seen.for_nothing {
        format!(
            "{only} of the {calls} calls submitted entries and did not wait. Push all entries of a \
             turn; the call that waits for the next completions submits them as well."
        )
    } else if seen.for_nothing > calls / 4 {
        format!(
            "{} of the {calls} calls returned although nothing new had come. The kernel does not \
             know that the program has taken a completion before the queue's head is published: \
             synchronise or drop the completion queue before the wait.",
            seen.for_nothing
        )
    } else {
        format!(
            "{calls} calls, {left} of them while completions of the call before were still in the \
             queue. A wait may bring many completions: take all of them before the next call."
        )
    };
    let kernel = record.last_lines(of_requests);
    Err(record.fail(ids::ENTERS).kernel(kernel).rule(rule))
}

/// The calls by kind.
#[derive(Default)]
struct Seen {
    /// Submitted and did not wait, although the queue had room.
    only_submit: u64,
    /// Returned although no completion had come since the call before.
    for_nothing: u64,
    /// Entered although completions of the call before were still in the queue.
    left: u64,
}

impl Seen {
    fn since(record: &Record, before: u64) -> Seen {
        let granted = record.setups().find_map(|setup| setup.granted.as_ref());
        let room = granted.map_or(0, |it| it.sq_entries);
        let mut seen = Seen::default();
        // Completions so far, and how many there were at the last return of a call, and of a wait.
        let (mut posted, mut before_it, mut brought) = (0, 0, 0);
        let mut waits = false;
        for event in &record.events {
            match &event.what {
                What::Complete(_) => posted += 1,
                What::Enter(enter) if enter.enter > before => {
                    waits = enter.min_complete > 0;
                    let full = enter.to_submit >= room;
                    let only = enter.to_submit > 0 && !waits && !full;
                    seen.only_submit += u64::from(only);
                    let unreaped = u64::from(enter.unreaped.unwrap_or(0));
                    seen.left +=
                        u64::from(waits && posted < brought + unreaped);
                }
                What::Return(back) => {
                    let nothing = posted == before_it && back.error.is_none();
                    seen.for_nothing +=
                        u64::from(nothing && back.enter > before);
                    before_it = posted;
                    // The program takes the completions of a submit in the middle of a turn in the
                    // next turn.
                    brought = if waits { posted } else { brought };
                }
                _ => {}
            }
        }
        seen
    }
}
