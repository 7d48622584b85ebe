//! Memory that is used for something else while the kernel works with it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Fact, Found, Handle, Kind, Request, Rules, Scene, at};
use crate::codes::op;
use crate::context::Reader;
use crate::ring_descriptors::RingId;

const CHANGED: Kind = Kind::new("changed-in-flight", "day1.html#what-an-entry-points-at");
const ZERO_COPY: Kind = Kind::new("changed-before-notification", "zero-copy.html#break-it");
/// What that means.
const TWO_COMPLETIONS: &str = "A zero-copy send has two completions. The first says how much was taken; the pages stay in \
     the socket's queue until the one with NOTIF. Write to them after that.";
const SHARED: Kind = Kind::new("memory-shared", "a-future-from-a-ring.html#break-it");

/// Entries whose memory is looked at again and again: enough for a mistake to show.
pub(super) const WATCHED: usize = 64;

/// Where to look in a buffer, and at how many bytes.
const SAMPLES: u64 = 8;
const SAMPLE: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What is sent from, by the entry's number, with what was there.
    sent: HashMap<u64, Vec<u8>>,
    /// Files that were shut down.
    shut: HashSet<Handle>,
}

impl Rules for Memory {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Entering { .. } => self.compare(Some(scene.ring), scene, found),
            Fact::Submitted(request) => {
                self.fills_what_is_sent(request, scene, found);
                match request.entry.opcode {
                    op::SHUTDOWN => self.shut.extend(request.handle()),
                    op::CLOSE => self.shut.retain(|file| Some(*file) != request.handle()),
                    // Entries of one enter may be done one after the other.
                    _ => shares(
                        request,
                        |other| other.enter != request.enter,
                        &self.shut,
                        scene,
                        found,
                    ),
                }
                // A linked entry may send what the entry before it has written.
                let alone = request.behind.is_none();
                if request.entry.gives() && alone && self.sent.len() < WATCHED {
                    if let Some(there) = samples(scene.program(), request) {
                        self.sent.insert(request.seq, there);
                    }
                }
            }
            Fact::Completed { request: Some(request), .. }
                if !scene.open.contains_key(&request.seq) =>
            {
                self.sent.remove(&request.seq);
            }
            Fact::Returned { enter, .. } if !scene.polled() => {
                let its = |request: &&Request| request.enter == enter.enter;
                for request in scene.open_here().filter(its).take(WATCHED) {
                    shares(request, |_| true, &self.shut, scene, found);
                }
            }
            Fact::Called { .. } => self.compare(None, scene, found),
            Fact::Closing { .. } => {
                let elsewhere =
                    |seq: &u64| scene.open.get(seq).is_some_and(|it| it.ring != scene.ring);
                self.sent.retain(|seq, _| elsewhere(seq));
            }
            _ => {}
        }
    }
}

/// What is at a few places of what an entry sends.
fn samples(program: Reader, request: &Request) -> Option<Vec<u8>> {
    let buffer = request.buffer()?;
    let length = buffer.end - buffer.start;
    let mut there = Vec::new();
    if length <= SAMPLES * SAMPLE as u64 {
        there.resize(length as usize, 0);
        program.fill(buffer.start, &mut there)?;
        return Some(there);
    }
    for nth in 0..SAMPLES {
        let mut bytes = [0; SAMPLE];
        program.fill(buffer.start + (length - SAMPLE as u64) / (SAMPLES - 1) * nth, &mut bytes)?;
        there.extend(bytes);
    }
    Some(there)
}

impl Memory {
    /// Checks that memory is unchanged which the kernel still sends from; in all rings, or in one.
    fn compare(&mut self, only: Option<RingId>, scene: &Scene<'_>, found: &mut Found) {
        let mut changed = Vec::new();
        for (seq, was) in &self.sent {
            let Some(request) = scene.open.get(seq) else { continue };
            // In another ring the completion may be there by now.
            let looked_at = only.is_none_or(|only| only == request.ring);
            if !looked_at || request.owner != scene.owner || scene.hidden.contains(&request.ring) {
                continue;
            }
            let now = samples(Reader::of(request.owner), request);
            if now.as_ref().is_some_and(|now| now != was) {
                changed.push(request);
            }
        }
        for request in changed {
            self.sent.remove(&request.seq);
            if request.awaits_notification() {
                found.say(
                    scene,
                    ZERO_COPY,
                    format!(
                        "the memory of {} changed between its completion and its notification, seen {}",
                        request.name(),
                        at(scene.us)
                    ),
                    TWO_COMPLETIONS,
                );
            } else {
                found.say(
                    scene,
                    CHANGED,
                    format!(
                        "the memory of {} changed while it was in flight, seen {}",
                        request.name(),
                        at(scene.us)
                    ),
                    "Until its completion is there, an entry's memory is the kernel's: what is sent \
                     may be the old bytes, the new ones or both.",
                );
            }
        }
    }

    /// An entry that starts now writes where a zero-copy send still reads.
    fn fills_what_is_sent(&mut self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        let starts = request.entry.takes() && request.behind.is_none();
        let Some(mine) = request.buffer().filter(|_| starts && !scene.polled()) else { return };
        if scene.open.len() > WATCHED {
            return;
        }
        let sent = scene.open_here().find(|other| {
            other.awaits_notification()
                && other.enter != request.enter
                && other.buffer().is_some_and(|theirs| overlap(&mine, &theirs))
        });
        if let Some(sent) = sent {
            // It is not said again when the bytes have changed.
            self.sent.remove(&sent.seq);
            found.say(
                scene,
                ZERO_COPY,
                format!(
                    "{} writes into the memory of {}, which was answered and awaits its notification",
                    request.name(),
                    sent.name()
                ),
                TWO_COMPLETIONS,
            );
        }
    }
}

/// Another entry under way works with the same memory, and one of them writes there.
fn shares(
    request: &Request,
    counts: impl Fn(&Request) -> bool,
    shut: &HashSet<Handle>,
    scene: &Scene<'_>,
    found: &mut Found,
) {
    let Some(mine) = request.buffer() else { return };
    if scene.open.len() > WATCHED {
        return;
    }
    let writes = |request: &Request| request.entry.takes();
    let is_shut = |request: &Request| request.handle().is_some_and(|it| shut.contains(&it));
    let other = scene.open.values().find(|other| {
        other.owner == request.owner
            && counts(other)
            && other.seq != request.seq
            && other.answers == 0
            && other.behind.is_none()
            && !other.entry.linked()
            && (writes(other) || writes(request))
            // After a shutdown, programs read only to discard.
            && !(is_shut(other) && is_shut(request))
            && other.buffer().is_some_and(|theirs| overlap(&mine, &theirs))
    });
    if let Some(other) = other.filter(|_| request.behind.is_none() && !request.entry.linked()) {
        found.say_once(
            scene,
            SHARED,
            format!(
                "{} and {} are in flight at once with the same memory, {:#x}",
                other.name(),
                request.name(),
                mine.start
            ),
            "The bytes of one overwrite those of the other, whichever comes first. Use a buffer for \
             each entry in flight.",
        );
    }
}

pub(super) fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}
