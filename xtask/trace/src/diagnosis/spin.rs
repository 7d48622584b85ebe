//! Calls and answers that repeat without progress.

use std::collections::HashMap;

use super::{Fact, Found, Kind, Request, Rules, Scene, at};
use crate::codes::{op, setup};
use crate::context::span;
use crate::decode::Completion;
use crate::names::{error_name, operation};
use crate::ring_descriptors::RingId;

const SPIN: Kind = Kind::new("spin", "ladder.html#1-to-2-do-not-submit-wait");
const AGAIN: Kind = Kind::new("again-and-again", "when-it-goes-wrong.html#pitfall-8");

/// Enters in a row that did nothing, within [`SOON_US`].
const IDLE: u64 = 1000;
/// Enters in a row that failed alike.
const FAILED: u64 = 100;
/// Answers in a row that say the same.
const ANSWERS: u64 = 16;
/// A program that looks now and then does no harm.
const SOON_US: u64 = 5_000_000;

#[derive(Debug, Default)]
struct Row {
    since: u64,
    last: u64,
    count: u64,
    result: i64,
}

#[derive(Debug, Default)]
pub(super) struct Spin {
    enters: HashMap<RingId, Row>,
    answers: HashMap<(RingId, u8, i32), Row>,
}

impl Rules for Spin {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Completed { request, completion, .. } => {
                self.enters.remove(&scene.ring);
                if let Some(request) = request {
                    self.answered(request, completion, scene, found);
                }
            }
            Fact::Returned { result, queues, .. } => {
                let row = self.enters.entry(scene.ring).or_default();
                let idle = result == 0 && queues.unreaped() == 0;
                if !(idle || result < 0) || result != row.result || row.count == 0 {
                    *row = Row { since: scene.us, last: scene.us, count: 0, result };
                }
                row.count += u64::from(idle || result < 0);
                let (count, span) = (row.count, span(scene.us - row.since));
                let soon = scene.us - row.since < SOON_US;
                if count == IDLE && idle && soon && !scene.has(setup::IOPOLL) {
                    found.say_once(
                        scene,
                        SPIN,
                        format!(
                            "{IDLE} enters in a row, in {span}, took no entry and brought no \
                             completion, the last {}",
                            at(scene.us)
                        ),
                        "The program asks again and again instead of waiting. To wait, ask for a \
                         completion (min_complete 1, with a timeout if need be): the kernel sleeps \
                         until one is there.",
                    );
                }
                let passes = [-libc::EINTR, -libc::ETIME].map(i64::from).contains(&result);
                if count == FAILED && result < 0 && soon && !passes {
                    found.say_once(
                        scene,
                        SPIN,
                        format!(
                            "{FAILED} enters in a row, in {span}, failed with {}",
                            error_name(-result as i32)
                        ),
                        "What has failed like this fails again. EBUSY and EAGAIN pass when \
                         completions are reaped; others do not pass at all.",
                    );
                }
            }
            Fact::Called { name: "close", call, .. } => {
                self.answers.retain(|(_, _, fd), _| *fd != call.args[0] as i32);
            }
            Fact::Closing { .. } => {
                self.enters.remove(&scene.ring);
                self.answers.retain(|(ring, ..), _| *ring != scene.ring);
            }
            _ => {}
        }
    }
}

impl Spin {
    fn answered(
        &mut self,
        request: &Request,
        completion: &Completion,
        scene: &Scene<'_>,
        found: &mut Found,
    ) {
        if request.entry.opcode == op::CLOSE || request.fd().is_none() && request.slot().is_none() {
            return;
        }
        // A new file may have the number of an old one.
        if completion.res >= 0 && matches!(request.entry.opcode, op::ACCEPT | op::OPENAT) {
            self.answers.retain(|(_, _, fd), _| *fd != completion.res);
        }
        let entry = &request.entry;
        let key = (scene.ring, entry.opcode, entry.fd);
        let end =
            completion.res == 0 && entry.len > 0 && matches!(entry.opcode, op::READ | op::RECV);
        let error = completion.error().filter(|error| *error != libc::ECANCELED);
        let res = i64::from(completion.res);
        if error.is_none() && !end {
            self.answers.remove(&key);
            return;
        }
        let row = self.answers.entry(key).or_default();
        if row.result != res || row.count == 0 {
            *row = Row { since: scene.us, last: 0, count: 0, result: res };
        }
        // An entry that was already under way was not submitted again.
        if request.us <= row.last {
            return;
        }
        row.last = scene.us;
        row.count += 1;
        if row.count != ANSWERS {
            return;
        }
        let what = error.map_or_else(|| "0, the end".to_string(), error_name);
        let means = match error {
            None => "Where the input has ended, nothing more will come: close the file.",
            Some(libc::ENOBUFS) => {
                "No provided buffer is free, and submitting the receive again brings none. Park it \
                 until a buffer is given back."
            }
            Some(_) => "What has failed like this fails again: report it and end, or wait a while.",
        };
        found.say_once(
            scene,
            AGAIN,
            format!(
                "{ANSWERS} times in a row, in {}, {} on the same file was answered with {what} and \
                 submitted again",
                span(scene.us - row.since),
                operation(entry.opcode)
            ),
            means,
        );
    }
}
