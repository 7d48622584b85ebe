//! The submission queue: entries that did not go in, or not as they were meant to.

use std::collections::HashMap;

use common::text::several;

use super::{Fact, Found, Kind, Request, Rules, Scene, at, listed};
use crate::codes::{op, setup};
use crate::decode::Entry;
use crate::names::{error_name, operation};
use crate::ring_descriptors::RingId;

const NEVER_SUBMITTED: Kind = Kind::new("never-submitted", "when-it-goes-wrong.html#pitfall-2");
const SUBMIT_STOPPED: Kind = Kind::new("submit-stopped", "day1.html#many-entries-one-call");
const ENTER_REFUSED: Kind = Kind::new("enter-refused", "when-it-goes-wrong.html#the-queues");
const LEFT_OVER: Kind = Kind::new("left-over", "when-it-goes-wrong.html#the-queues");
const LINK_CUT: Kind = Kind::new("link-cut", "links-and-drains.html#the-program-step-by-step");

const DROPPED: Kind = Kind::new("entry-dropped", "when-it-goes-wrong.html#the-queues");

/// A program that has not submitted for this long is not about to.
const LONG_US: u64 = 100_000;

/// What is known of the queue of one ring.
#[derive(Debug, Default)]
struct Ring {
    /// The entry that went in last.
    last: Option<Request>,
    /// The last entry that was answered with an error: its number, and the error.
    bad: Option<(u64, i32)>,
    /// An enter that stopped at a bad entry, in words.
    stopped: Option<String>,
    /// An enter that failed, in words, and how many entries it left.
    failed: Option<(String, u32)>,
    /// Since when its program stands or goes round with entries in the queue.
    left_us: Option<u64>,
    /// When an enter of it last began or ended.
    entered_us: u64,
    /// The last entry of an enter, which asked for a link to the next.
    cut: Option<Request>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    rings: HashMap<RingId, Ring>,
}

impl Rules for Queue {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        let ring = self.rings.entry(scene.ring).or_default();
        if matches!(fact, Fact::Entering { .. } | Fact::Returned { .. }) {
            ring.entered_us = scene.us;
            ring.left_us = None;
        }
        match *fact {
            Fact::Submitted(request) => ring.submitted(request, scene, found),
            Fact::Dropped(count) => found.say_once(
                scene,
                DROPPED,
                format!("the kernel dropped {} {}", several(count as usize, "entry"), at(scene.us)),
                "The index array names a place that the queue does not have. An index is masked: \
                 tail & (entries - 1).",
            ),
            Fact::Completed { request: Some(request), completion, .. } => {
                if let Some(error) = completion.error() {
                    ring.bad = Some((request.seq, error));
                }
            }
            Fact::Returned { enter, result, queues } if result < 0 && enter.to_submit > 0 => {
                let left = queues.waiting();
                if let Some(why) = refused(-result as i32, scene) {
                    let seen = format!(
                        "enter {} offered {} {} and failed with {}",
                        enter.enter,
                        several(enter.to_submit as usize, "entry"),
                        at(scene.us),
                        error_name(-result as i32)
                    );
                    ring.failed = (left > 0).then(|| (seen.clone(), left));
                    found.say_once(scene, ENTER_REFUSED, seen, why);
                }
            }
            Fact::Returned { enter, result, queues } if !scene.polled() => {
                let last = ring.last.as_ref().filter(|last| last.enter == enter.enter);
                let bad = last.zip(ring.bad).filter(|(last, (seq, _))| last.seq == *seq);
                let left = queues.waiting();
                if enter.to_submit > 0 && left == 0 {
                    ring.stopped = None;
                }
                match bad {
                    Some((last, (_, error))) if result < enter.to_submit.into() && left > 0 => {
                        ring.stopped = Some(format!(
                            "enter {} took {result} of {}: {} stopped it with {}",
                            enter.enter,
                            several(enter.to_submit as usize, "entry"),
                            last.name(),
                            error_name(error)
                        ));
                    }
                    Some(_) => {}
                    None => ring.cut = last.filter(|last| last.entry.linked()).cloned(),
                }
            }
            Fact::Closing { queues, published } => {
                // A program that is killed may have been about to submit; and with nothing in
                // flight a missing cancel does no harm.
                let cancels = |entry: &Entry| entry.opcode == op::ASYNC_CANCEL;
                let needless = scene.nothing_open() && published.iter().all(cancels);
                let late = scene.leaves || scene.us - ring.entered_us > LONG_US;
                if late && !needless {
                    ring.unsubmitted(queues.waiting(), published, scene, found);
                }
                self.rings.remove(&scene.ring);
            }
            Fact::Still { rings, threads, published, .. } => {
                let here = rings.iter().find(|now| now.ring == scene.ring && now.pushed > 0);
                // A program that runs may be about to submit, but not for that long.
                let since = *ring.left_us.get_or_insert(scene.us);
                let asleep = threads.iter().all(|thread| thread.asleep);
                if here.is_none() {
                    ring.left_us = None;
                }
                let here = here.filter(|_| asleep || scene.us - since > LONG_US);
                ring.unsubmitted(here.map_or(0, |now| now.pushed), published, scene, found);
            }
            _ => {}
        }
    }
}

impl Ring {
    fn submitted(&mut self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        if let Some(before) = self.cut.take() {
            let seen = format!(
                "{} asks for a link to the entry after it, but was the last of enter {}; {} came \
                 with enter {}",
                before.name(),
                before.enter,
                request.name(),
                request.enter
            );
            found.say(
                scene,
                LINK_CUT,
                seen,
                "A chain ends where a submit ends: the second entry did not wait for the first, \
                 and runs even if that fails. Make room for the whole chain before it is pushed.",
            );
        }
        if let Some((why, left)) = &mut self.failed {
            let seen = format!(
                "{why}; {}, which was in the queue then, went in with enter {} {}",
                request.name(),
                request.enter,
                at(request.us)
            );
            *left -= 1;
            if *left == 0 {
                self.failed = None;
            }
            found.say(
                scene,
                LEFT_OVER,
                seen,
                "An enter that fails leaves its entries in the queue, and the next one takes them. \
                 What they point at has to live on until then.",
            );
        }
        self.last = Some(request.clone());
    }

    /// Entries lie in the queue, and the program does not seem to submit them.
    fn unsubmitted(&self, count: u32, published: &[Entry], scene: &Scene<'_>, found: &mut Found) {
        if count == 0 {
            return;
        }
        let entries = several(count as usize, "entry");
        let names = listed(published.iter().map(|entry| operation(entry.opcode)));
        if let Some(stopped) = &self.stopped {
            let seen = format!("{stopped}; {entries} behind it stayed in the queue ({names})");
            found.say_once(
                scene,
                SUBMIT_STOPPED,
                seen,
                "A bad entry ends the submission there. Look at the count that submit returns and \
                 submit the rest, or ask for IORING_SETUP_SUBMIT_ALL (Linux 5.18).",
            );
            return;
        }
        let means = if scene.has(setup::SQPOLL) {
            "The thread that polls the ring sleeps and does not see them: submit looks at \
             IORING_SQ_NEED_WAKEUP and wakes it; a push alone does not."
        } else {
            "A push only writes into memory: the kernel takes entries when io_uring_enter is called \
             with their number. Submit after the last push."
        };
        found.say_once(
            scene,
            NEVER_SUBMITTED,
            format!("{entries} published and never submitted ({names})"),
            means,
        );
    }
}

/// Why an enter takes nothing, for the errors that do not pass by themselves.
fn refused(error: i32, scene: &Scene<'_>) -> Option<&'static str> {
    Some(match error {
        libc::EBADFD if scene.has(setup::R_DISABLED) => {
            "The ring was made disabled (IORING_SETUP_R_DISABLED) and takes nothing before \
             IORING_REGISTER_ENABLE_RINGS."
        }
        libc::EEXIST => {
            "The ring has SINGLE_ISSUER: only the thread that made or enabled it may submit. One \
             ring for each thread."
        }
        libc::EINVAL => "The kernel does not know a flag of the call, or an argument is not valid.",
        libc::EFAULT => "An argument of the call points at memory that is not there.",
        libc::EOWNERDEAD => {
            "The thread that polls the ring is gone; nothing takes entries any more."
        }
        _ => return None,
    })
}
