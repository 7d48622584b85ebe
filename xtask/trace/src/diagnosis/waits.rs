//! A program that stands still: what it waits for, and why that does not come.

use std::collections::HashMap;

use common::text::several;
use libc::pid_t;

use super::{Fact, Found, Kind, Request, Rules, Scene, at, listed};
use crate::codes::{call, op, sqe};
use crate::context::{Time, span};
use crate::ring::RingNow;
use crate::ring_descriptors::RingId;
use crate::threads::{self, Thread};

const DEAD_WAIT: Kind = Kind::new("dead-wait", "day1.html#there-and-back");
const NEVER_FIRES: Kind = Kind::new("timeout-never-fires", "day1.html#what-an-entry-points-at");
const IN_THE_PAST: Kind =
    Kind::new("timeout-in-the-past", "time-and-cancellation.html#the-program-step-by-step");
const ASLEEP_ELSEWHERE: Kind = Kind::new("asleep-elsewhere", "rings-and-threads.html#epoll");
const QUIET_EVENTFD: Kind = Kind::new("quiet-eventfd", "rings-and-threads.html#epoll");

/// A timeout of more than this is a mistake, or meant as "never": a year.
const NEVER_NS: i128 = 366 * 24 * 3600 * 1_000_000_000;

/// A sleep this long in another call, with completions in the queue, is no coincidence.
const LONG_US: u64 = 500_000;

/// Calls that wait for something to happen.
const WAITING: &[&str] = &[
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "read",
    "recvfrom",
    "recvmsg",
    "accept",
    "accept4",
    "pause",
    "rt_sigtimedwait",
    "rt_sigsuspend",
    "wait4",
    "waitid",
];

#[derive(Debug, Default)]
struct Ring {
    /// The entry that was answered last, and when.
    answered: Option<(String, u64)>,
    /// Timeouts longer than any program means, with their length in words.
    never: HashMap<u64, String>,
    /// It has an eventfd that rings only for what completes later.
    quiet: bool,
    /// Entries that say nothing when they succeed.
    silent: u64,
    /// Completions that came inside of the enter that took their entry.
    inline: u64,
}

/// A thread that sleeps in a call other than an enter.
#[derive(Debug)]
struct Elsewhere {
    name: String,
    ring: RingId,
    us: u64,
    unreaped: u32,
}

#[derive(Debug, Default)]
pub(super) struct Waits {
    rings: HashMap<RingId, Ring>,
    elsewhere: HashMap<pid_t, Elsewhere>,
}

impl Rules for Waits {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        let ring = self.rings.entry(scene.ring).or_default();
        match *fact {
            Fact::Registered { operation, result, .. } if result >= 0 => match operation {
                call::REGISTER_EVENTFD_ASYNC => ring.quiet = true,
                call::REGISTER_EVENTFD | call::UNREGISTER_EVENTFD => ring.quiet = false,
                _ => {}
            },
            Fact::Submitted(request) => {
                ring.silent += u64::from(request.entry.has(sqe::CQE_SKIP_SUCCESS));
                if matches!(request.entry.opcode, op::TIMEOUT | op::LINK_TIMEOUT) {
                    let time = scene.program().time(request.entry.addr);
                    in_the_past(request, time, scene, found);
                    if let Some(time) = time.filter(|time| time.0 > NEVER_NS) {
                        ring.never.insert(request.seq, time.to_string());
                    }
                }
            }
            Fact::Completed { request: Some(request), inside, .. } => {
                ring.answered = Some((request.name(), scene.us));
                ring.never.remove(&request.seq);
                ring.inline += u64::from(inside == Some(request.enter));
            }
            Fact::Called { name, unreaped, .. } if unreaped > 0 && WAITING.contains(&name) => {
                let (ring, us, name) = (scene.ring, scene.us, name.to_string());
                self.elsewhere.insert(scene.tid, Elsewhere { name, ring, us, unreaped });
            }
            Fact::CallEnded { unreaped } => self.awake(scene, unreaped, found),
            Fact::Closing { .. } => _ = self.rings.remove(&scene.ring),
            Fact::Still { rings, threads, .. } if threads.iter().all(|thread| thread.asleep) => {
                let Some(now) = rings.iter().find(|now| now.ring == scene.ring) else { return };
                if nothing_ends(rings, threads, scene, &self.rings) {
                    self.dead(now, scene, found);
                }
                let call =
                    threads::sleeps_in(threads).filter(|call| WAITING.contains(&call.as_str()));
                if let Some(call) = call.filter(|_| now.unreaped > 0 && now.inside.is_empty()) {
                    self.elsewhere_asleep(&call, now.unreaped, None, scene, found);
                }
            }
            _ => {}
        }
    }
}

impl Waits {
    /// A thread has slept long in another call.
    fn awake(&mut self, scene: &Scene<'_>, unreaped: u32, found: &mut Found) {
        let Some(slept) = self.elsewhere.remove(&scene.tid) else { return };
        let us = scene.us.saturating_sub(slept.us);
        if us >= LONG_US && slept.ring == scene.ring && unreaped >= slept.unreaped {
            self.elsewhere_asleep(&slept.name, slept.unreaped, Some(us), scene, found);
        }
    }

    fn elsewhere_asleep(
        &mut self,
        call: &str,
        unreaped: u32,
        us: Option<u64>,
        scene: &Scene<'_>,
        found: &mut Found,
    ) {
        let Some(ring) = self.rings.get(&scene.ring) else { return };
        let there = several(unreaped as usize, "completion");
        let slept = us.map_or_else(|| "sleeps".to_string(), |us| format!("slept {}", span(us)));
        let seen = format!("the program {slept} in {call} with {there} in the queue");
        if ring.quiet && ring.inline > 0 {
            let came = format!(
                "{seen}; the ring's eventfd was registered with REGISTER_EVENTFD_ASYNC, and {} came \
                 inside of the submit",
                several(ring.inline as usize, "completion")
            );
            found.say_once(
                scene,
                QUIET_EVENTFD,
                came,
                "Such an eventfd rings only for what completes later. Register it with \
                 REGISTER_EVENTFD, or look into the queue after each submit.",
            );
            return;
        }
        found.say_once(
            scene,
            ASLEEP_ELSEWHERE,
            seen,
            "The kernel has answered, and the program does not look. Reap before each sleep, and let \
             the ring end the sleep: wait in io_uring_enter, or watch its descriptor or an eventfd.",
        );
    }

    /// Nothing can end the waits of this process: says why, for one of them.
    fn dead(&self, now: &RingNow, scene: &Scene<'_>, found: &mut Found) {
        let Some(enter) = now.inside.iter().find(|enter| enter.min_complete > 0) else { return };
        let ring = self.rings.get(&scene.ring);
        let waits = format!(
            "enter {} sleeps and waits for {}; {} in the queue",
            enter.enter,
            several(enter.min_complete as usize, "completion"),
            now.unreaped
        );
        let open: Vec<&Request> = scene.open_here().collect();
        let never = ring.map(|ring| &ring.never).filter(|never| !never.is_empty());
        if let Some((request, time)) = never
            .and_then(|never| open.iter().find_map(|it| never.get(&it.seq).map(|time| (it, time))))
        {
            found.say_once(
                scene,
                NEVER_FIRES,
                format!("{waits}, and {} ends after {time}", request.name()),
                "Was the timespec still there when the entry was submitted? The kernel reads it \
                 then, not when the entry is filled in.",
            );
            return;
        }
        let in_flight = match open.as_slice() {
            [] => "and nothing is in flight".to_string(),
            some => format!(
                "and in flight only {}, with one completion each",
                listed(some.iter().map(|request| request.name()))
            ),
        };
        let waiting = match now.pushed {
            0 => String::new(),
            count => format!("; {} not submitted", several(count as usize, "entry")),
        };
        let silent = match ring.map_or(0, |ring| ring.silent) {
            0 => String::new(),
            count => format!(
                "; {} asked for no completion (IOSQE_CQE_SKIP_SUCCESS)",
                several(count as usize, "entry")
            ),
        };
        let last = match ring.and_then(|ring| ring.answered.as_ref()) {
            Some((name, us)) => format!("; the last completion was that of {name}, {}", at(*us)),
            None => String::new(),
        };
        found.say_once(
            scene,
            DEAD_WAIT,
            format!("{waits}, {in_flight}{waiting}{silent}{last}"),
            "No completion can come that ends this wait. Either an entry was not submitted (or a \
             multishot not armed again), or its completion was taken from the queue before and \
             discarded, or it waits for more than it submitted.",
        );
    }
}

/// A timeout asks for a moment that has passed.
fn in_the_past(request: &Request, time: Option<Time>, scene: &Scene<'_>, found: &mut Found) {
    /// `IORING_TIMEOUT_ABS`, and the flags for another clock than the monotonic one.
    const ABSOLUTE: u32 = 1 << 0;
    const OTHER_CLOCK: u32 = 1 << 2 | 1 << 3;
    /// A moment that has just passed may be meant.
    const LATE: i128 = 1_000_000_000;
    let flags = request.entry.op_flags;
    if flags & ABSOLUTE == 0 || flags & OTHER_CLOCK != 0 {
        return;
    }
    let Ok(now) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC) else { return };
    let now = Time::new(now.tv_sec(), now.tv_nsec());
    if let Some(time) = time.filter(|time| time.0 + LATE < now.0) {
        found.say(
            scene,
            IN_THE_PAST,
            format!(
                "{} ends at {time} of the monotonic clock, on which it is {now}",
                request.name()
            ),
            "With IORING_TIMEOUT_ABS the timespec is a moment, not a length of time: this timeout \
             fires at once.",
        );
    }
}

/// Every thread waits for a completion that cannot come, or for another thread.
fn nothing_ends(
    rings: &[RingNow],
    threads: &[Thread],
    scene: &Scene<'_>,
    known: &HashMap<RingId, Ring>,
) -> bool {
    let is = |thread: &Thread, name: &str| thread.call.as_deref() == Some(name);
    let entered = threads.iter().filter(|thread| is(thread, "io_uring_enter")).count();
    let waiting = threads.iter().filter(|thread| is(thread, "futex")).count();
    let dead = |now: &RingNow| {
        now.inside.iter().all(|enter| {
            let never = known.get(&now.ring).map(|ring| &ring.never);
            let coming: u64 = scene
                .open
                .values()
                .filter(|request| request.ring == now.ring)
                .filter(|request| never.is_none_or(|never| !never.contains_key(&request.seq)))
                .map(most_to_come)
                .sum();
            let there = u64::from(now.unreaped) + coming;
            let untaken = now.polled && now.pushed > 0;
            // An entry that answers only when it fails, and cannot wait, is done.
            let unknown = !now.may_wait.is_empty()
                || untaken
                || [scene.blurred, scene.older].iter().any(|rings| rings.contains(&now.ring));
            enter.at_most_us.is_none() && !unknown && u64::from(enter.min_complete) > there
        })
    };
    let insides: usize = rings.iter().map(|now| now.inside.len()).sum();
    entered > 0
        && entered == insides
        && entered + waiting == threads.len()
        && rings.iter().all(dead)
}

/// The completions that an entry can still bring.
fn most_to_come(request: &Request) -> u64 {
    match request.entry {
        entry if entry.multishot() => u64::from(u32::MAX),
        entry if entry.zero_copy() => 2 - u64::from(request.answers.min(2)),
        _ => 1,
    }
}
