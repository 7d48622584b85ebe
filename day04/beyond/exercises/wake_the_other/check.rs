//! `wake_the_other`: two threads wait in their rings, and wake each other by messages.

use std::collections::BTreeSet;

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut measured = Measured::default();
    for count in [attempt.number(5..=8), 3] {
        measured = numbers(attempt, count)?;
    }
    Ok(Passed::new(
        "Both threads slept in their rings, and messages woke them.",
    )
    .measured(measured))
}

fn numbers(attempt: &Attempt, count: u64) -> Result<Measured, Failure> {
    let numbers: Vec<u64> = (0..count).map(|_| attempt.tag()).collect();
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let mut launch = attempt.run(format!(
        "The program was run as `wake_the_other {}`.",
        words.join(" ")
    ));
    for word in &words {
        launch = launch.arg(word);
    }
    let record = launch.to_end()?;
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    let (here, there) = need_messages(&record, &numbers)?;
    need_answers(&record, there, here, numbers.len())?;
    for (ring, name) in [(there, "printing"), (here, "main")] {
        need_waits(&record, ring, name, numbers.len())?;
    }
    need_two_threads(&record, here, there)?;
    if !record.stdout.lines().eq(words.iter().map(String::as_str)) {
        return Err(record.fail(ids::OUTPUT).kernel([record.printed()]).rule(
            "Each number must be printed in a line of its own, in the order of the arguments.",
        ));
    }
    record.need_all_reaped()?;
    need_turns(&record, here, there)?;
    Ok(Measured::of(&record))
}

fn of_messages(what: &What) -> bool {
    match what {
        What::Submit(submit) => submit.op == "MSG_RING",
        What::Complete(complete) => complete.seq.is_none(),
        _ => false,
    }
}

fn fail(record: &Record, id: Id) -> Failure {
    record.fail(id).kernel(record.last_lines(of_messages))
}

/// The completions in a ring that have no entry there.
fn arrived(record: &Record, ring: u32) -> impl Iterator<Item = &Complete> {
    record.completes().filter(move |it| it.ring == ring && it.seq.is_none())
}

/// Fails unless each number went as a message to another ring. Returns the sender's ring and the
/// receiver's.
fn need_messages(
    record: &Record,
    numbers: &[u64],
) -> Result<(u32, u32), Failure> {
    let mut pairs = BTreeSet::new();
    for number in numbers {
        let number = user_data(*number);
        let sent = record.submitted("MSG_RING").into_iter().find(|it| {
            it.details.get("message_user_data") == Some(&number.as_str().into())
        });
        let Some(sent) = sent else {
            return Err(fail(record, ids::NO_ENTRY).rule(format!(
                "No MSG_RING carried {number}. Send each number by a MSG_RING to the other \
                 thread's ring, as the user_data of the message."
            )));
        };
        let came = record.completes().find(|it| {
            it.ring != sent.ring && it.seq.is_none() && it.user_data == number
        });
        let Some(came) = came else {
            return Err(fail(record, ids::WRONG_ENTRY).rule(format!(
                "The message {number} did not arrive in another ring. Name the descriptor of the \
                 other thread's ring in the MSG_RING."
            )));
        };
        pairs.insert((sent.ring, came.ring));
    }
    match pairs.pop_first() {
        Some(pair) if pairs.is_empty() => Ok(pair),
        _ => Err(fail(record, ids::WRONG_ENTRY).rule(
            "The numbers went through more than two rings. Each thread needs one.",
        )),
    }
}

/// Fails unless a message came back for each number.
fn need_answers(
    record: &Record,
    from: u32,
    to: u32,
    numbers: usize,
) -> Result<(), Failure> {
    let sent = record.submitted("MSG_RING");
    let sent = sent.iter().filter(|it| it.ring == from).count();
    let came = arrived(record, to).count();
    if sent >= numbers && came >= numbers {
        return Ok(());
    }
    Err(fail(record, ids::NO_ENTRY).rule(format!(
        "For {numbers} numbers the printing thread sent {sent} messages back, and {came} arrived \
         in the main thread's ring. When a number is printed, send a MSG_RING to the main thread."
    )))
}

/// Fails unless a thread waited in its ring, with hardly more calls than there were numbers. A
/// message may arrive before the wait; then the program need not wait for it.
fn need_waits(
    record: &Record,
    ring: u32,
    name: &str,
    numbers: usize,
) -> Result<(), Failure> {
    let enters: Vec<&Enter> =
        record.enters().filter(|it| it.ring == Some(ring)).collect();
    let waits = enters.iter().filter(|it| it.min_complete > 0).count();
    let lines = || {
        record.lines(|what| {
            matches!(what, What::Enter(enter) if enter.ring == Some(ring))
        })
    };
    if 3 * waits < numbers {
        return Err(record.fail(ids::SPIN).kernel(lines()).rule(format!(
            "The {name} thread waited in its ring {waits} times for {numbers} messages. It must \
             sleep there until the other thread's message wakes it: `submit_and_wait(1)`."
        )));
    }
    if enters.len() > 2 * numbers + 3 {
        return Err(record.fail(ids::ENTERS).kernel(lines()).rule(format!(
            "The {name} thread called io_uring_enter {} times for {numbers} messages. One call \
             sends a message and waits for the next one.",
            enters.len()
        )));
    }
    Ok(())
}

/// Fails unless each number was printed before its answer was sent, and had its answer before the
/// next one was sent.
fn need_turns(record: &Record, here: u32, there: u32) -> Result<(), Failure> {
    // With a polling thread the moment of a submit is unknown.
    if record.summary.polled {
        return Ok(());
    }
    let (mut sent, mut answered) = (0, 0);
    for event in &record.events {
        match &event.what {
            What::Submit(it) if it.ring == here && it.op == "MSG_RING" => {
                if answered < sent {
                    return Err(fail(record, ids::ORDER).rule(
                        "The main thread sent a number before it had the answer to the one before \
                         it. Wait for the message that the number is printed, and then send the \
                         next one.",
                    ));
                }
                sent += 1;
            }
            What::Complete(it) if it.ring == here && it.seq.is_none() => {
                answered += 1;
            }
            _ => {}
        }
    }
    let answers = record.events.iter().filter(|event| {
        matches!(&event.what, What::Submit(it) if it.ring == there && it.op == "MSG_RING")
    });
    let printed = record.plain_writes_into(&record.stdout_is);
    if printed.iter().zip(answers).any(|(call, answer)| answer.us < call.us) {
        return Err(fail(record, ids::ORDER).rule(
            "The printing thread sent its answer before it had printed the number. Print first.",
        ));
    }
    Ok(())
}

/// Fails unless each ring belongs to another thread.
fn need_two_threads(
    record: &Record,
    here: u32,
    there: u32,
) -> Result<(), Failure> {
    let threads = |ring: u32| -> BTreeSet<i32> {
        let enters = record.events.iter().filter(
            |event| matches!(&event.what, What::Enter(enter) if enter.ring == Some(ring)),
        );
        enters.map(|event| event.tid).collect()
    };
    if threads(here).is_disjoint(&threads(there)) {
        return Ok(());
    }
    Err(record.fail(ids::WRONG_ENTRY).kernel(record.lines(|what| matches!(what, What::Enter(_)))).rule(
        "One thread entered both rings. The printing thread must have its own ring, and wait in \
         it.",
    ))
}
