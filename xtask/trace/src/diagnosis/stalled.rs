//! Entries that are under way and make no progress.

use std::collections::HashMap;

use common::text::several;

use super::{Fact, Found, Kind, Request, Rules, Scene, at, listed};
use crate::codes::{op, setup, sqe};
use crate::ring_descriptors::RingId;
use crate::threads;

const BEHIND_MULTISHOT: Kind = Kind::new("behind-a-multishot", "links-and-drains.html#answers");
const DRAIN_HOLDS: Kind = Kind::new("drain-holds", "links-and-drains.html#break-it");
const HELD: Kind = Kind::new("notification-missing", "zero-copy.html#invariants");
const WORKERS_BUSY: Kind = Kind::concluded("workers-busy", "where-does-it-run.html#break-it");
const NOT_ASKED_FOR: Kind = Kind::concluded("not-asked-for", "looking-inside.html#break-it");

/// An entry that makes no progress for this long is stuck, not slow.
const LONG_US: u64 = 500_000;

#[derive(Debug, Default)]
pub(super) struct Stalled {
    /// When an enter last asked for a ring's completions.
    asked_us: HashMap<RingId, u64>,
}

impl Rules for Stalled {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Entering { enter, .. } if enter.flags.iter().any(|flag| flag == "GETEVENTS") => {
                self.asked_us.insert(scene.ring, scene.us);
            }
            Fact::Closing { .. } => {
                blocked(scene, found);
                held(scene, found);
                not_asked_for(self.asked_us.remove(&scene.ring).unwrap_or(0), scene, found);
            }
            Fact::Still { threads, .. } if threads.iter().all(|thread| thread.asleep) => {
                blocked(scene, found);
                workers_busy(scene, found);
                // With other entries in flight, a slow reader is nothing special.
                if scene.open_here().all(Request::awaits_notification) {
                    held(scene, found);
                }
            }
            _ => {}
        }
    }
}

/// Entries that have not started, and do not: behind a multishot, or held by a drain.
fn blocked(scene: &Scene<'_>, found: &mut Found) {
    for request in scene.open_here() {
        let before = request.behind.and_then(|seq| scene.open.get(&seq));
        if let Some(before) = before.filter(|before| before.entry.multishot()) {
            found.say_once(
                scene,
                BEHIND_MULTISHOT,
                format!(
                    "{} is linked behind {}, a multishot that was armed {} and still is, after {}",
                    request.name(),
                    before.name(),
                    at(before.us),
                    several(before.answers as usize, "completion")
                ),
                "A link starts when the entry before it has ended, and a multishot goes on: the \
                 second has not started. Poll (or receive) once, or submit it when the first \
                 completes.",
            );
        }
    }
    let drain = scene.open_here().find(|it| it.entry.has(sqe::IO_DRAIN) && it.answers == 0);
    let Some(drain) = drain else { return };
    let ends_by_itself = [op::TIMEOUT, op::LINK_TIMEOUT];
    let holds: Vec<String> = scene
        .open_here()
        .filter(|it| it.seq < drain.seq && !ends_by_itself.contains(&it.entry.opcode))
        .map(Request::name)
        .collect();
    if holds.is_empty() || scene.us.saturating_sub(drain.us) < LONG_US {
        return;
    }
    let behind: Vec<String> =
        scene.open_here().filter(|it| it.seq > drain.seq).map(Request::name).collect();
    let too = match behind.as_slice() {
        [] => String::new(),
        some => format!("; behind it wait {}", listed(some)),
    };
    found.say_once(
        scene,
        DRAIN_HOLDS,
        format!(
            "{} has IO_DRAIN and has waited {} for {}{too}",
            drain.name(),
            scene.since(drain.us),
            listed(holds)
        ),
        "A drain starts when everything before it in the ring has ended, and what comes after it \
         waits: a long drain holds up the whole ring. Link the entries that need an \
         order.",
    );
}

/// A zero-copy send whose notification does not come.
fn held(scene: &Scene<'_>, found: &mut Found) {
    let late = |it: &&Request| scene.us.saturating_sub(it.us) > 2 * LONG_US;
    if let Some(request) = scene.open_here().filter(late).find(|it| it.awaits_notification()) {
        found.say_once(
            scene,
            HELD,
            format!(
                "{} was answered, and its notification has not come for {}",
                request.name(),
                scene.since(request.us)
            ),
            "The pages lie in the socket's queue until the other side has taken them: it reads \
             slowly, or not at all. Do not write to that memory or free it; close the \
             connection if it takes too long.",
        );
    }
}

/// More entries ask for a worker than there are workers, and none is done.
fn workers_busy(scene: &Scene<'_>, found: &mut Found) {
    let asks: Vec<&Request> =
        scene.open_here().filter(|it| it.entry.has(sqe::ASYNC) && it.behind.is_none()).collect();
    let workers = if asks.is_empty() { 0 } else { threads::workers(scene.owner as u32) };
    if workers == 0 || asks.len() <= workers {
        return;
    }
    let (busy, waits) = asks.split_at(workers);
    found.say_once(
        scene,
        WORKERS_BUSY,
        format!(
            "{} (iou-wrk) for {} entries with IOSQE_ASYNC: {} has blocked one for {}, and {} got \
             none",
            several(workers, "worker thread"),
            asks.len(),
            busy[0].name(),
            scene.since(busy[0].us),
            listed(waits.iter().map(|it| it.name()))
        ),
        "IOSQE_ASYNC sends an entry to a worker thread; a ring has as many for files as entries, \
         or four for each processor. One that blocks keeps its worker. Without the flag most \
         entries need none; register_iowq_max_workers raises the number.",
    );
}

/// A ring that posts completions only when it is asked, and never was.
fn not_asked_for(asked_us: u64, scene: &Scene<'_>, found: &mut Found) {
    let late = |it: &&Request| it.us > asked_us && scene.us - it.us >= LONG_US;
    let oldest = scene.open_here().find(late).filter(|_| scene.has(setup::DEFER_TASKRUN));
    if let Some(request) = oldest {
        found.say_once(
            scene,
            NOT_ASKED_FOR,
            format!(
                "{} was under way for {}, and no enter since asked for completions",
                request.name(),
                scene.since(request.us)
            ),
            "A ring with DEFER_TASKRUN completes what had to wait only in an enter with GETEVENTS: \
             submit alone delivers nothing. Wait, with a timeout of zero if need be.",
        );
    }
}
