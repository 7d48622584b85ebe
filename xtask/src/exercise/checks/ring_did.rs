//! What the ring itself did for clients: positive evidence, whatever else a program may do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::clients::{PATIENCE, number};
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::record::Record;
use crate::exercise::run::Run;
use crate::trace::event::{Complete, What};

/// Entries of the ring accepted so many clients, and sent them so many bytes in all. What a kernel
/// thread's ring does unseen is not known.
pub fn need_served(record: &Record, clients: usize, bytes: usize) -> Result<(), Failure> {
    let served = record.served();
    let seats: BTreeSet<_> = served.iter().map(|client| client.at).collect();
    let sent: u64 = seats.into_iter().map(|seat| record.bytes_into(seat)).sum();
    if (served.len() >= clients && sent >= bytes as u64) || record.summary.unseen_completions > 0 {
        return Ok(());
    }
    let kernel = [format!("entries accepted {} clients and sent {sent} bytes", served.len())];
    Err(record.fail(ids::NOT_THROUGH_RING).kernel(kernel).rule(format!(
        "{clients} clients came and got {bytes} bytes. What entries of the ring did not do, a \
         plain system call did; here all of it goes through the ring."
    )))
}

/// The program has hardly more descriptors open than before its clients came.
pub fn need_descriptors(run: &mut Run, before: usize) -> Result<(), Failure> {
    // A log that is opened late, say.
    const FEW: usize = 4;
    let mut now = 0;
    let few = || {
        now = run.descriptors().map_or(0, |all| all.len());
        now <= before + FEW
    };
    if testkit::holds_within(PATIENCE.min(Duration::from_secs(2)), few) {
        return Ok(());
    }
    Err(run
        .record()
        .fail(ids::NOT_CLOSED)
        .kernel([format!("descriptors: {before} before the clients came, {now} now")])
        .rule(
            "All clients have gone, and their descriptors are still open. A shutdown ends a \
             connection and frees nothing: what an accept brings is yours until it is closed.",
        ))
}

/// Nothing was in flight on a slot when it was closed.
pub fn need_quiet_closes(record: &Record) -> Result<(), Failure> {
    let Some((close, other)) = record.closed_under().first().copied() else { return Ok(()) };
    let its = |what: &What| match what {
        What::Submit(it) => [close.seq, other.seq].contains(&it.seq),
        What::Complete(it) => it.seq.is_some_and(|seq| [close.seq, other.seq].contains(&seq)),
        _ => false,
    };
    Err(record.fail(ids::IN_FLIGHT).kernel(record.lines_at_most(4, its)).rule(format!(
        "The slot was closed while a {} was in flight on it. A close does not end what is in \
         flight: its completion comes when the slot may be the next client's. Wait for it first.",
        other.op
    )))
}

/// The most entries of these operations that were in flight at once: counted when a call has
/// returned, for what it has ended and begun has no order in the record. `ends` says which last
/// completions count as an end.
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
        if matches!(event.what, What::Return(_)) || (record.summary.polled && later) {
            most = most.max(now);
        }
    }
    most
}

/// The longest time that the program itself measures, as timeouts and waits that it asked the
/// kernel for say, and a little more: whatever it does when that is over, it has done then.
pub fn own_time(record: &Record) -> Duration {
    const LONGEST: Duration = Duration::from_secs(8);
    let entries = record.submits().filter_map(|it| number(it, "nanoseconds"));
    let waits = record.enters().filter_map(|enter| Some(enter.at_most_us? * 1000));
    let longest = entries.chain(waits).max().map_or(Duration::ZERO, Duration::from_nanos);
    if longest.is_zero() { longest } else { longest.min(LONGEST) + Duration::from_millis(300) }
}
