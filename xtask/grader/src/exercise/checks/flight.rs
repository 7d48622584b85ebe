//! Which operations were in flight, how many, and for how long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::served::number;
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::record::Record;
use ringtrace::event::{Complete, What};

/// Fails if an operation was in flight on a slot when it was closed.
pub fn need_quiet_closes(record: &Record) -> Result<(), Failure> {
    let Some((close, other)) = record.closed_under().first().copied() else { return Ok(()) };
    let its = |what: &What| match what {
        What::Submit(it) => [close.seq, other.seq].contains(&it.seq),
        What::Complete(it) => it.seq.is_some_and(|seq| [close.seq, other.seq].contains(&seq)),
        _ => false,
    };
    Err(record.fail(ids::IN_FLIGHT).kernel(record.lines_at_most(4, its)).rule(format!(
        "The slot was closed while a {} was in flight on it. A close does not end this operation, \
         and when it completes the slot may belong to the next client. Wait for its completion \
         first.",
        other.op
    )))
}

/// The most entries of these operations that were in flight at once. It counts when the next call
/// begins, because the record has no order among the ends and the beginnings within a call. `ends`
/// says which last completions count as an end.
pub fn most_in_flight(record: &Record, ops: &[&str], ends: impl Fn(&Complete) -> bool) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for (at, event) in record.events.iter().enumerate() {
        match &event.what {
            What::Submit(it) if ops.contains(&it.op.as_str()) => now += 1,
            What::Complete(it) if it.op.as_deref().is_some_and(|op| ops.contains(&op)) => {
                now = now.saturating_sub(usize::from(!it.more && ends(it)));
            }
            _ => {}
        }
        // A ring that a kernel thread polls may make no calls.
        let later = record.events.get(at + 1).is_none_or(|next| next.us > event.us);
        if matches!(event.what, What::Enter(_)) || (record.summary.polled && later) {
            most = most.max(now);
        }
    }
    most
}

/// A slot on which two entries of an operation were in flight at once, so that they share their
/// memory, and the lines of both. `None` for a ring that a kernel thread polls.
pub fn two_on_a_slot(record: &Record, op: &str) -> Option<(u64, Vec<String>)> {
    let mut open: Vec<(u64, u64)> = Vec::new();
    for event in record.events.iter().filter(|_| !record.summary.polled) {
        match &event.what {
            What::Submit(it) if it.op == op => {
                let Some(slot) = number(it, "slot") else { continue };
                if let Some((_, first)) = open.iter().find(|(other, _)| *other == slot) {
                    let both = [*first, it.seq];
                    let its =
                        |what: &What| matches!(what, What::Submit(it) if both.contains(&it.seq));
                    return Some((slot, record.lines_at_most(2, its)));
                }
                open.push((slot, it.seq));
            }
            What::Complete(it) if !it.more => open.retain(|(_, seq)| Some(*seq) != it.seq),
            _ => {}
        }
    }
    None
}

/// The longest time in the program's timeouts and waits, and a little more. After this time the
/// program has acted on the last of them.
pub fn own_time(record: &Record) -> Duration {
    const LONGEST: Duration = Duration::from_secs(8);
    let entries = record.submits().filter_map(|it| number(it, "nanoseconds"));
    let waits = record.enters().filter_map(|enter| Some(enter.at_most_us? * 1000));
    let longest = entries.chain(waits).max().map_or(Duration::ZERO, Duration::from_nanos);
    if longest.is_zero() { longest } else { longest.min(LONGEST) + Duration::from_millis(300) }
}

/// The longest time that a client stayed, as `act` measures it, and which client's it was if it is
/// too long twice. A busy machine may be late once; `act` returns `None` if the machine was too
/// slow for it.
///
/// # Errors
/// The failure of `act`; not observed, if the machine is too busy to be sure.
pub fn in_time<T>(
    latest: Duration,
    mut act: impl FnMut() -> Result<Option<(T, Duration)>, Failure>,
) -> Result<(Duration, Option<T>), Failure> {
    let mut late_before = false;
    for _ in 0..4 {
        let (stayed, lateness) = with_lateness(&mut act);
        match stayed? {
            Some((_, stayed)) if stayed <= latest => return Ok((stayed, None)),
            Some((whose, stayed)) if stayed > latest + 3 * lateness => {
                if late_before {
                    return Ok((stayed, Some(whose)));
                }
                late_before = true;
            }
            _ => {}
        }
    }
    Err(Failure::not_observed(
        "this machine is too busy to see whether clients are disconnected in time",
    ))
}

/// The result of `act`, and how late this machine meanwhile woke a sleeping thread. The program may
/// have been as late, several times.
fn with_lateness<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    const NAP: Duration = Duration::from_millis(5);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(NAP);
                most = most.max(began.elapsed().saturating_sub(NAP));
            }
            most
        });
        let given = act();
        done.store(true, Ordering::Relaxed);
        (given, watch.join().unwrap_or_default())
    })
}
