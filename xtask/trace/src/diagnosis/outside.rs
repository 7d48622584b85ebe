//! What happens beside the rings and matters to them: threads that end, signals, files that are
//! closed, rights that are given up, a setup that was refused.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use common::catalog::REGISTER_OPERATIONS;
use common::text::several;
use libc::pid_t;

use super::{Fact, Found, Handle, Kind, Rules, Scene, at};
use crate::codes::{call, op, setup};
use crate::names::error_name;
use crate::refused::RefusedRing;
use crate::ring_descriptors::RingId;
use crate::threads;

const SUBMITTER_ENDED: Kind = Kind::new("submitter-ended", "day2.html#one-thread-and-which-one");
const WAIT_CUT: Kind = Kind::new("wait-cut-short", "when-it-goes-wrong.html#pitfall-23");
const CLOSED_IN_USE: Kind = Kind::new("closed-in-use", "time-and-cancellation.html#ends");
const OLD_RIGHTS: Kind = Kind::new("poller-has-old-rights", "day2.html#a-thread-that-submits");
const NO_RING: Kind = Kind::new("setup-refused", "when-it-goes-wrong.html#pitfall-26");

const POLLER_BURNS: Kind =
    Kind::concluded("poller-burns", "ladder.html#7-and-8-pay-with-a-processor");
const NOT_REGISTERED: Kind = Kind::new("register-refused", "c-to-rust.html#registering");
const FORKED: Kind = Kind::new("ring-shared-by-fork", "rings-and-threads.html#fork-and-exec");

/// What is known of the thread that polls a ring.
#[derive(Debug, Default)]
struct Poller {
    since: u64,
    entries: u64,
    looked: u64,
    cpu: Duration,
}

/// How often the CPU time of the pollers is read.
const LOOK_US: u64 = 200_000;

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
    pollers: HashMap<RingId, Poller>,
    /// The process that entered a ring first.
    enters: HashMap<RingId, pid_t>,
    /// Rings in which something was cancelled.
    cancels: HashSet<RingId>,
    cut: HashMap<RingId, Cut>,
    /// What was closed while an entry was in flight on it: by the entry, what and when.
    closed: HashMap<u64, (Handle, u64)>,
    /// Calls that gave rights up, by process.
    rights: HashMap<pid_t, (String, u64)>,
    refused: Option<RefusedRing>,
    /// A registration that was refused, by its code: in words, and why.
    unregistered: Option<(u32, String, &'static str)>,
}

impl Rules for Outside {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Refused(ring) => self.refused = Some(ring.clone()),
            Fact::Granted(params) => {
                self.refused = None;
                if params.has(setup::SQPOLL) {
                    let poller = Poller { since: scene.us, ..Poller::default() };
                    self.pollers.insert(scene.ring, poller);
                }
            }
            Fact::Registered { operation, result, .. } => {
                if operation == call::REGISTER_SYNC_CANCEL {
                    self.cancels.insert(scene.ring);
                } else if result < 0 {
                    let name = format!("{:#}", REGISTER_OPERATIONS.name(operation));
                    let seen = format!(
                        "{name} was refused {}: {}",
                        at(scene.us),
                        error_name(-result as i32)
                    );
                    self.unregistered = why_not(-result as i32).map(|why| (operation, seen, why));
                } else if self.unregistered.as_ref().is_some_and(|(which, ..)| *which == operation)
                {
                    self.unregistered = None;
                }
            }
            Fact::Submitted(request) => {
                if let Some(poller) = self.pollers.get_mut(&scene.ring) {
                    poller.entries += 1;
                }
                if request.entry.opcode == op::ASYNC_CANCEL {
                    self.cancels.insert(scene.ring);
                }
                if let Some((name, us)) = self.rights.get(&scene.owner).filter(|_| scene.polled()) {
                    let seen = format!("{} went in after {name} {}", request.name(), at(*us));
                    found.say_once(
                        scene,
                        OLD_RIGHTS,
                        seen,
                        "The thread that polls the ring keeps the rights that the program had when it \
                         made the ring, and runs the entries with those. Give rights up first, then \
                         make the ring.",
                    );
                }
                let old = self.closed.iter().find(|(seq, (file, _))| {
                    request.handle() == Some(*file) && scene.open.contains_key(seq)
                });
                if let Some((seq, (file, us))) = old {
                    let before = &scene.open[seq];
                    let seen = format!(
                        "{file} was closed {} while {} was in flight on it, and {} uses the same \
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
                if let Some(file) = request.closes().filter(|_| completion.res == 0) {
                    self.closes(file, request.seq, scene);
                }
            }
            Fact::Called { name, call, .. } => {
                self.look_at_pollers(scene);
                // What a fault handler does after it is no exit of a thread alone.
                if name == "exit" {
                    self.ended.insert(scene.tid, scene.us);
                } else if name == "close" {
                    self.closes(Handle::Fd(scene.owner, call.args[0] as i32), u64::MAX, scene);
                } else if name.starts_with("set")
                    && (name.ends_with("uid") || name.ends_with("gid"))
                {
                    let known = scene.rings.values().any(|params| params.has(setup::SQPOLL));
                    if known {
                        self.rights.insert(scene.owner, (name.to_string(), scene.us));
                    }
                }
            }
            Fact::Entering { .. } => {
                self.cut.remove(&scene.ring);
                let first = *self.enters.entry(scene.ring).or_insert(scene.process);
                if first != scene.process {
                    found.say_once(
                        scene,
                        FORKED,
                        format!(
                            "process {} enters the ring {}, in which process {first} was before",
                            scene.process,
                            at(scene.us)
                        ),
                        "A fork shares the queues, but not the memory that entries point at, and \
                         each process reaps what the other waits for. Make a ring in each process, \
                         after the fork.",
                    );
                }
            }
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
            // A job-control stop is not a signal that the program handles.
            Fact::Signal(signal)
                if ![libc::SIGSTOP, libc::SIGTSTP, libc::SIGCONT].contains(&signal) =>
            {
                let cut = self.cut.values_mut().find(|cut| cut.tid == scene.tid);
                if let Some(cut) = cut.filter(|cut| cut.signal.is_none()) {
                    cut.signal = Some(signal);
                }
            }
            Fact::Still { .. } | Fact::Closing { .. } => {
                if matches!(fact, Fact::Closing { .. }) {
                    if let Some(poller) = self.pollers.remove(&scene.ring) {
                        burns(&poller, scene, found);
                    }
                }
                for (seq, (file, us)) in &self.closed {
                    let Some(open) = scene.open.get(seq).filter(|it| it.ring == scene.ring) else {
                        continue;
                    };
                    if scene.us.saturating_sub(*us) > 1_000_000 {
                        let seen = format!(
                            "{file} was closed {}, and {} is still in flight on it",
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

/// A poller that is awake for next to nothing.
fn burns(poller: &Poller, scene: &Scene<'_>, found: &mut Found) {
    /// Less is not reported.
    const LEAST: Duration = Duration::from_millis(300);
    const EACH: Duration = Duration::from_millis(10);
    let Poller { since, entries, cpu, .. } = *poller;
    let alive = Duration::from_micros(scene.us.saturating_sub(since));
    let each = cpu / u32::try_from(entries.max(1)).unwrap_or(u32::MAX);
    if cpu < LEAST || cpu * 10 < alive || each < EACH {
        return;
    }
    let idle = scene.rings.get(&scene.ring).map_or(0, |params| params.sq_thread_idle);
    found.say_once(
        scene,
        POLLER_BURNS,
        format!(
            "the thread that polls the ring took {:.1} s of CPU time in {:.1} s, for {}; it sleeps \
             after {idle} ms without one",
            cpu.as_secs_f64(),
            alive.as_secs_f64(),
            several(entries as usize, "entry")
        ),
        "A poller pays off if entries come all the time. Here it waits in a loop: set a \
         shorter sq_thread_idle, or leave SQPOLL out.",
    );
}

impl Outside {
    /// A file is closed: remembers the entries before `seq` that are in flight on it.
    fn closes(&mut self, file: Handle, seq: u64, scene: &Scene<'_>) {
        let on_it = scene.open.range(..seq).map(|(_, it)| it);
        let on_it = on_it.filter(|it| it.handle() == Some(file) && it.closes().is_none());
        self.closed.extend(on_it.map(|it| (it.seq, (file, scene.us))));
    }

    fn look_at_pollers(&mut self, scene: &Scene<'_>) {
        for (ring, poller) in &mut self.pollers {
            let known = scene.ring == *ring || scene.ring == 0;
            if known && scene.us.saturating_sub(poller.looked) >= LOOK_US {
                poller.looked = scene.us;
                poller.cpu = poller.cpu.max(threads::poller_cpu(scene.owner as u32));
            }
        }
    }

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
                    "A signal ends a wait: the enter returns EINTR, or the number of entries that it \
                     submitted. Neither is a failure: look what is there, and wait \
                     again.",
                );
            }
        }
        if let Some((_, seen, why)) = self.unregistered.as_ref().filter(|_| status != 0) {
            let seen = format!("{seen}; the program ended with status {status}");
            found.say_once(scene, NOT_REGISTERED, seen, *why);
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
                format!(
                    "{why}. To try: {remedy}. There is no ring, and later errors of the program \
                     come from that."
                ),
            );
        }
    }
}

/// Why a registration is refused.
fn why_not(error: i32) -> Option<&'static str> {
    Some(match error {
        libc::ENOMEM => {
            "Registered memory is locked: there is no more of it, or RLIMIT_MEMLOCK allows no more \
             (ulimit -l)."
        }
        libc::EBUSY | libc::EEXIST => {
            "There is one already: unregister that first, or update it; a buffer group takes another \
             number."
        }
        libc::EFAULT => "It names memory that is not there, or not of the kind that can be pinned.",
        libc::EBADF | libc::EBADFD => {
            "A descriptor among them is not open, or is not of that kind."
        }
        libc::ENXIO => "There is none to update or unregister.",
        libc::EINVAL => {
            "A number among the arguments is not as the kernel wants it, or it does not know this \
             registration: see io_uring_register(2), and what the kernel has by `cargo run -p day01`."
        }
        _ => return None,
    })
}

fn closed(seen: String, scene: &Scene<'_>, found: &mut Found) {
    found.say_once(
        scene,
        CLOSED_IN_USE,
        seen,
        "A close does not end the operation: it keeps the file, and still takes bytes. Cancel it, or shut \
         the socket down, wait for its completion, and close then.",
    );
}
