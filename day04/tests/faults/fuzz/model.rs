//! What the clients of a plan may see, and what the server may count.
//!
//! Always: bytes come back unchanged and in order, no byte twice, and none which
//! was not sent; an ack is `ack\0`, comes once, and only after a request.
//!
//! Unless the server was asked to end: a client that reads to the end gets everything,
//! and then an end-of-file and no reset; the server never ends first, except for an ack.
//! Two kinds of clients may be cut off, by the server's own rules: in an echo, a client that leaves
//! replies unread for a second while others wait for the buffers, and each of these is counted as
//! timed out; after an ack, a client that has not ended two seconds later. A plan can make the
//! server less patient still (`--idle-timeout`), or have it end by itself (`--max`).

use std::time::Duration;

use testkit::Stopped;

use super::client::{Ended, Seen};
use super::plan::{Client, End, Plan, Reply};

/// A client that reads more slowly than this may be cut off when buffers are scarce. The
/// server's own limit is a second; a client's clock starts a little later.
const SLOW: Duration = Duration::from_millis(900);
/// A client that has not ended so long after its first byte may be cut off after an ack.
const LINGERED: Duration = Duration::from_millis(1_900);

/// What each client did and saw, in the order of the plan.
pub type Story<'a> = Vec<(&'a Client, Seen)>;

/// Everything that is wrong, in words. `summary` is the last event of the server.
pub fn judge(plan: &Plan, story: &Story<'_>, stopped: &Stopped) -> Vec<String> {
    let mut complaints: Vec<String> = Vec::new();
    for (client, seen) in story {
        if let Err(allowed) = allows(plan, story, client, seen) {
            let number = client.number;
            complaints.push(format!("client {number} saw {seen:?}; the model allows {allowed}"));
        }
    }
    complaints.extend(summary_complaints(plan, story, stopped));
    complaints
}

/// Whether the model allows what the client saw; what it allows instead, if not.
fn allows(plan: &Plan, story: &Story<'_>, client: &Client, seen: &Seen) -> Result<(), String> {
    let turned_away = plan.is_interrupted() || left_out(plan, story) > 0;
    if !seen.connected {
        let refused = turned_away || is_full(plan, story);
        return if refused { Ok(()) } else { Err("a connection".to_string()) };
    }
    if seen.wrong.is_some() {
        return Err("the right bytes only".to_string());
    }
    if seen.gave_up.is_some() {
        return Err("no client to wait without end".to_string());
    }
    let due = due(plan, seen);
    if seen.received > due {
        return Err(format!("{due} bytes at most"));
    }
    if turned_away || may_be_cut_off(plan, client, seen) {
        return Ok(());
    }
    let server_ends_first = plan.reply == Reply::Ack && seen.sent > 0;
    if seen.ended_early && !server_ends_first {
        return Err("no end before the client's own".to_string());
    }
    match seen.ended {
        Some(Ended::Error(_)) => Err("no error".to_string()),
        Some(Ended::EndOfFile) if seen.received < due => {
            Err(format!("no end before {due} bytes have come"))
        }
        None if client.end == End::Politely => Err("an end-of-file".to_string()),
        _ => Ok(()),
    }
}

/// Clients that were there, or at least in the backlog.
fn came(story: &Story<'_>) -> usize {
    story.iter().filter(|(_, seen)| seen.connected).count()
}

/// Whether `--max` clients came: the server ends when they leave.
pub fn is_full(plan: &Plan, story: &Story<'_>) -> bool {
    plan.max.is_some_and(|max| came(story) >= max)
}

/// How many clients came beyond `--max`. It is not known which.
fn left_out(plan: &Plan, story: &Story<'_>) -> usize {
    plan.max.map_or(0, |max| came(story).saturating_sub(max))
}

/// How much a client gets that reads to the end.
fn due(plan: &Plan, seen: &Seen) -> usize {
    match plan.reply {
        Reply::Echo => seen.sent,
        Reply::Ack if seen.sent > 0 => 4,
        Reply::Ack => 0,
    }
}

fn may_be_cut_off(plan: &Plan, client: &Client, seen: &Seen) -> bool {
    // A client that left without waiting for the end does not know how long the server kept it.
    let idle = plan.idle.is_some_and(|idle| {
        client.end != End::Politely || seen.lived.as_millis() as u64 > idle * 9 / 10
    });
    match plan.reply {
        _ if idle => true,
        Reply::Echo => seen.slow > SLOW,
        Reply::Ack => seen.lasted > LINGERED,
    }
}

/// Whether a client lived to see everything.
fn is_served(plan: &Plan, seen: &Seen) -> bool {
    seen.ended == Some(Ended::EndOfFile) && seen.received == due(plan, seen)
}

fn summary_complaints(plan: &Plan, story: &Story<'_>, stopped: &Stopped) -> Vec<String> {
    let seen = || story.iter().map(|(_, seen)| seen).filter(|seen| seen.connected);
    let count = |what: &dyn Fn(&Seen) -> bool| seen().filter(|seen| what(seen)).count();
    let sum = |what: &dyn Fn(&Seen) -> usize| seen().map(what).sum::<usize>();

    let came = came(story);
    let talked = count(&|seen| seen.sent > 0);
    let served = count(&|seen| seen.sent > 0 && is_served(plan, seen));
    let polite =
        |(client, seen): &&(&Client, Seen)| client.end == End::Politely && is_served(plan, seen);
    let rude = story.len() - story.iter().filter(polite).count();
    let cut = story.iter().filter(|(client, seen)| may_be_cut_off(plan, client, seen)).count();
    let sent = sum(&|seen| seen.sent);
    let received = sum(&|seen| seen.received);
    // If a client was served, all its bytes have come in.
    let came_in = sum(&|seen| if is_served(plan, seen) { seen.sent } else { seen.received });
    let (least_in, most_requests) = match plan.reply {
        Reply::Ack => (served, talked),
        Reply::Echo => (came_in, sent),
    };
    let (least_out, most_out) = match plan.reply {
        Reply::Ack => (4 * served, 4 * talked),
        Reply::Echo => (received, sent),
    };
    let let_in = came - left_out(plan, story);
    let least_in_all = if plan.is_interrupted() { served } else { let_in };
    let is_lost = |(client, seen): &&(&Client, Seen)| {
        client.end == End::Politely && !may_be_cut_off(plan, client, seen) && !is_served(plan, seen)
    };
    // Each of these is judged by itself, unless it is unknown whether it was accepted.
    let lost = story.iter().filter(is_lost).count();
    let most_lost = if plan.is_interrupted() { lost } else { story.len() - let_in };
    // Bytes that came together with the client's end are a request when that is read, and a
    // second signal can be earlier.
    let least_requests = if plan.is_interrupted() { 0 } else { served };
    let ranges = [
        ("connections", least_in_all, let_in),
        ("requests", least_requests, most_requests),
        ("bytes_in", least_in, sent),
        ("bytes_out", least_out, most_out),
        ("resets", 0, rude + cut),
        ("timed_out", 0, cut),
    ];
    let lost = (lost > most_lost)
        .then(|| format!("{lost} clients were not served; the model, {most_lost} at most"));
    let outside = ranges.iter().filter_map(|(name, least, most)| {
        let is = stopped.count(name) as usize;
        let fits = (*least..=*most).contains(&is);
        (!fits).then(|| format!("the server counts {is} {name}; the model, {least} to {most}"))
    });
    outside.chain(lost).collect()
}
