//! What happens beside the rings and matters to them: threads that end, signals, files that are
//! closed, rights that are given up, a setup that was refused.

use std::collections::{HashMap, HashSet};

use common::text::several;
use libc::pid_t;

use super::{Fact, Found, Kind, Rules, Scene, at};
use crate::codes::{call, op, setup};
use crate::descriptors::RingId;
use crate::names::error_name;
use crate::refused::RefusedRing;

const SUBMITTER_ENDED: Kind = Kind::new("submitter-ended", "day2.html#one-thread-and-which-one");
const WAIT_CUT: Kind =
    Kind::new("wait-cut-short", "when-it-goes-wrong.html#time-signals-and-the-end");
const CLOSED_IN_USE: Kind =
    Kind::new("closed-in-use", "when-it-goes-wrong.html#ending-a-connection");
const OLD_RIGHTS: Kind = Kind::new("poller-has-old-rights", "day2.html#a-thread-that-submits");
const NO_RING: Kind = Kind::new("setup-refused", "when-it-goes-wrong.html#a-ring-is-refused");

/// A wait that returned before what it waited for was there.
#[derive(Debug)]
struct Cut {
    tid: pid_t,
    seen: String,
    signal: Option<i32>,
}

#[derive(Debug, Default)]
pub(super) struct Outside {
    ended: HashMap<pid_t, u64>,
    /// Rings in which something was cancelled.
    cancels: HashSet<RingId>,
    cut: HashMap<RingId, Cut>,
    /// Descriptors that were closed while an entry was in flight on them: by the entry, what and when.
    closed: HashMap<u64, (i32, u64)>,
    /// Calls that gave rights up, by process.
    rights: HashMap<pid_t, (String, u64)>,
    refused: Option<RefusedRing>,
}

impl Rules for Outside {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Refused(ring) => self.refused = Some(ring.clone()),
            Fact::Granted(_) => self.refused = None,
            Fact::Registered { operation: call::REGISTER_SYNC_CANCEL, .. } => {
                self.cancels.insert(scene.ring);
            }
            Fact::Submitted(request) => {
                if request.entry.opcode == op::ASYNC_CANCEL {
                    self.cancels.insert(scene.ring);
                }
                if let Some((name, us)) = self.rights.get(&scene.owner).filter(|_| scene.polled()) {
                    let seen = format!("{} went in after {name} {}", request.name(), at(*us));
                    found.say_once(
                        scene,
                        OLD_RIGHTS,
                        seen,
                        "The thread that polls the ring keeps the rights of the moment in which the \
                         ring was made, and entries are done with those. Give rights up first, then \
                         make the ring.",
                    );
                }
                let old = self.closed.iter().find(|(seq, (fd, _))| {
                    request.fd() == Some(*fd) && scene.open.contains_key(seq)
                });
                if let Some((seq, (fd, us))) = old {
                    let before = &scene.open[seq];
                    let seen = format!(
                        "fd {fd} was closed {} while {} was in flight on it, and {} uses the same \
                         number",
                        at(*us),
                        before.name(),
                        request.name()
                    );
                    closed(seen, scene, found);
                }
            }
            Fact::Completed { request: Some(request), completion, .. } => {
                let gone = self.ended.get(&request.tid);
                let end = [libc::ECANCELED, libc::EFAULT, libc::EINTR];
                let ended = completion.error().filter(|error| end.contains(error));
                let cancelled = self.cancels.contains(&scene.ring) || request.entry.linked();
                if let Some((us, error)) = gone.zip(ended).filter(|_| !cancelled) {
                    found.say(
                        scene,
                        SUBMITTER_ENDED,
                        format!(
                            "{} ended with {}; it was submitted by thread {}, which exited {}",
                            request.name(),
                            error_name(error),
                            request.tid,
                            at(*us)
                        ),
                        "What a thread has in flight is cancelled when it exits, though the ring \
                         lives on. Submit from a thread that stays, with a ring of its own.",
                    );
                }
                self.closed.remove(&request.seq);
            }
            Fact::Called { name, call, .. } => {
                // What a fault handler does after it is no exit of a thread alone.
                if name == "exit" {
                    self.ended.insert(scene.tid, scene.us);
                } else if name == "close" {
                    let fd = call.args[0] as i32;
                    let on_it = scene.open.values().filter(|it| it.owner == scene.owner);
                    let on_it =
                        on_it.filter(|it| it.fd() == Some(fd) && it.entry.opcode != op::CLOSE);
                    self.closed.extend(on_it.map(|it| (it.seq, (fd, scene.us))));
                } else if name.starts_with("set")
                    && (name.ends_with("uid") || name.ends_with("gid"))
                {
                    let known = scene.rings.values().any(|params| params.has(setup::SQPOLL));
                    if known {
                        self.rights.insert(scene.owner, (name.to_string(), scene.us));
                    }
                }
            }
            Fact::Entering { .. } => _ = self.cut.remove(&scene.ring),
            Fact::Returned { enter, result, queues } => {
                let there = queues.unreaped().max(0) as u32;
                let limited = enter.at_most_us.is_some() || enter.min_wait_us.is_some();
                let short = result >= 0 && there < enter.min_complete && !limited;
                let waits = enter.flags.iter().any(|flag| flag == "GETEVENTS");
                if waits && enter.min_complete > 0 && (short || result == -i64::from(libc::EINTR)) {
                    let how = match result {
                        0.. => format!("{result}, the entries that it took"),
                        _ => "EINTR".to_string(),
                    };
                    let seen = format!(
                        "enter {} waited for {} and returned {how}, with {there} in the queue",
                        enter.enter,
                        several(enter.min_complete as usize, "completion")
                    );
                    self.cut.insert(scene.ring, Cut { tid: scene.tid, seen, signal: None });
                }
            }
            // A job-control stop is no signal that the program hears.
            Fact::Signal(signal)
                if ![libc::SIGSTOP, libc::SIGTSTP, libc::SIGCONT].contains(&signal) =>
            {
                let cut = self.cut.values_mut().find(|cut| cut.tid == scene.tid);
                if let Some(cut) = cut.filter(|cut| cut.signal.is_none()) {
                    cut.signal = Some(signal);
                }
            }
            Fact::Still { .. } | Fact::Closing { .. } => {
                for (seq, (fd, us)) in &self.closed {
                    let Some(open) = scene.open.get(seq).filter(|it| it.ring == scene.ring) else {
                        continue;
                    };
                    if scene.us.saturating_sub(*us) > 1_000_000 {
                        let seen = format!(
                            "fd {fd} was closed {}, and {} is still in flight on it",
                            at(*us),
                            open.name()
                        );
                        closed(seen, scene, found);
                    }
                }
            }
            Fact::Ended(status) => self.at_the_end(status, scene, found),
            _ => {}
        }
    }
}

impl Outside {
    fn at_the_end(&mut self, status: i32, scene: &Scene<'_>, found: &mut Found) {
        for cut in self.cut.values() {
            let Some(signal) = cut.signal else { continue };
            let ends = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGKILL];
            let killed = ends.iter().any(|end| status == 128 + end);
            if status != 0 && !killed {
                let name = nix::sys::signal::Signal::try_from(signal)
                    .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string());
                found.say_once(
                    scene,
                    WAIT_CUT,
                    format!(
                        "{}, for {name} came; the program ended with status {status}",
                        cut.seen
                    ),
                    "A signal ends a wait: with EINTR, or if the call has submitted something with \
                     that number and no error. Neither is a failure: look what is there, and wait \
                     again.",
                );
            }
        }
        if let Some(refused) = &self.refused {
            let (why, remedy) = refused.explained();
            let error = refused.error.map_or_else(|| "SIGSYS".to_string(), error_name);
            found.say_once(
                scene,
                NO_RING,
                format!(
                    "io_uring_setup for {} was refused: {error}",
                    several(refused.entries as usize, "entry")
                ),
                format!("{why}. Try {remedy}. What the program says afterwards comes from that."),
            );
        }
    }
}

fn closed(seen: String, scene: &Scene<'_>, found: &mut Found) {
    found.say_once(
        scene,
        CLOSED_IN_USE,
        seen,
        "A close ends no operation: it holds the file, and still takes its bytes. Cancel it, or shut \
         the socket down, wait for its completion, and close then.",
    );
}
