//! The completion queue: completions that nobody takes, and one that overflows.

use std::collections::{HashMap, VecDeque};

use common::text::several;

use super::{Fact, Found, Kind, Rules, Scene, at, listed};
use crate::codes::cqe;
use crate::ring_descriptors::RingId;

const NEVER_REAPED: Kind = Kind::new("never-reaped", "day1.html#there-and-back");
const HEAD_STANDS: Kind = Kind::new("head-never-moved", "when-it-goes-wrong.html#pitfall-2");
const HEAD_PAST_TAIL: Kind = Kind::new("head-past-tail", "day1.html#there-and-back");
const OVERFLOW: Kind = Kind::new("overflow", "day2.html#more-completions-than-fit");

/// This many waits in a row that end by a completion from before are no accident.
const IN_A_ROW: u32 = 3;

/// How many completions are remembered.
const KEPT: usize = 64;

#[derive(Debug, Default)]
struct Ring {
    /// Enters in a row that left the queue full.
    full: u32,
    /// The tail after the last enter, and how many enters moved it.
    tail: u32,
    rounds: u32,
    /// The last completions, in words; `None` for those whose loss does not matter.
    last: VecDeque<Option<String>>,
    /// The head, and how many waits in a row found it there with enough to return at once.
    stands: (u32, u32),
}

#[derive(Debug, Default)]
pub(super) struct Reaping {
    rings: HashMap<RingId, Ring>,
}

impl Rules for Reaping {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        let ring = self.rings.entry(scene.ring).or_default();
        match *fact {
            Fact::Entering { enter, queues, .. } => {
                past_tail(queues.unreaped(), scene, found);
                let ready = queues.unreaped() >= enter.min_complete as i32;
                if enter.min_complete > 0 && ready && queues.cq_head == ring.stands.0 {
                    ring.stands.1 += 1;
                } else {
                    ring.stands = (queues.cq_head, u32::from(ready && enter.min_complete > 0));
                }
                if ring.stands.1 == IN_A_ROW {
                    let seen = format!(
                        "{IN_A_ROW} waits in a row, up to enter {}, began with {} in the queue, and \
                         the program took none in between",
                        enter.enter,
                        several(queues.unreaped() as usize, "completion")
                    );
                    stands(scene, found, seen);
                }
            }
            Fact::Returned { queues, .. } => {
                past_tail(queues.unreaped(), scene, found);
                ring.rounds += u32::from(queues.cq_tail != ring.tail);
                ring.tail = queues.cq_tail;
                ring.full = if queues.overflow { ring.full + 1 } else { 0 };
                // A queue that is full only once is emptied and filled up by the next enter.
                if ring.full == 2 {
                    let room = scene.rings.get(&scene.ring).map_or(0, |it| it.cq_entries);
                    found.say_once(
                        scene,
                        OVERFLOW,
                        format!(
                            "the completion queue, of {room}, was full at the end of two enters in a \
                             row, the second {}, and more completions wait in the kernel",
                            at(scene.us)
                        ),
                        "They come with later enters that ask for events; multishots end, and \
                         submits may be refused meanwhile. Reap more often, or ask for a larger \
                         queue (IORING_SETUP_CQSIZE).",
                    );
                }
            }
            Fact::Completed { request, completion, .. } => {
                let missed =
                    !completion.has(cqe::NOTIF) && completion.error() != Some(libc::ECANCELED);
                let name = request.map_or_else(
                    || "one whose entry was not seen".to_string(),
                    |request| format!("{}: {}", request.name(), completion.res),
                );
                if ring.last.len() == KEPT {
                    ring.last.pop_front();
                }
                ring.last.push_back(missed.then_some(name));
            }
            Fact::Still { queues, threads, .. }
                if queues.overflow
                    && queues.unreaped() == 0
                    && threads.iter().all(|thread| thread.asleep) =>
            {
                found.say_once(
                    scene,
                    OVERFLOW,
                    "the program has emptied the completion queue, and more completions wait in the \
                     kernel since the queue was full",
                    "The kernel moves them into the queue in an enter that asks for events \
                     (GETEVENTS), and the program makes none. Enter where IORING_SQ_CQ_OVERFLOW is \
                     set before looking again.",
                );
            }
            Fact::Closing { queues, .. } => {
                let (rounds, tail) = (ring.rounds, ring.tail);
                let unreaped = queues.unreaped();
                past_tail(unreaped, scene, found);
                let last: Vec<String> =
                    (ring.last.iter().rev().take(unreaped.max(0) as usize).rev())
                        .flatten()
                        .cloned()
                        .collect();
                self.rings.remove(&scene.ring);
                if queues.cq_head == 0 && rounds >= 2 {
                    let completions = several(tail as usize, "completion");
                    let seen = format!("{completions} came in {rounds} enters, and none was taken");
                    stands(scene, found, seen);
                } else if !last.is_empty() && scene.leaves {
                    let count = several(unreaped as usize, "completion");
                    let were = if unreaped == 1 { "was" } else { "were" };
                    found.say(
                        scene,
                        NEVER_REAPED,
                        format!("{count} {were} never taken from the queue: {}", listed(last)),
                        "The program does not know their results: it misses an error, a short count or \
                         a new descriptor. Reap until nothing is in flight.",
                    );
                }
            }
            _ => {}
        }
    }
}

fn stands(scene: &Scene<'_>, found: &mut Found, seen: String) {
    found.say_once(
        scene,
        HEAD_STANDS,
        seen,
        "The program does not move the queue's head, so each look and each wait meets the same \
         completion again: io_uring_cqe_seen in C, in the crate the end (or sync) of what \
         completion() gave.",
    );
}

fn past_tail(unreaped: i32, scene: &Scene<'_>, found: &mut Found) {
    if unreaped < 0 {
        found.say_once(
            scene,
            HEAD_PAST_TAIL,
            format!(
                "the completion queue's head is {} beyond its tail {}",
                unreaped.unsigned_abs(),
                at(scene.us)
            ),
            "The program says that it has reaped more than came: completions that come next count \
             as seen. Move the head by one for each completion that was read.",
        );
    }
}
