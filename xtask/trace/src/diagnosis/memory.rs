//! What an entry points at: memory that is not there, that belongs to a function which has
//! returned, or that is used for something else while the kernel works with it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Fact, Found, Handle, Kind, Request, Rules, Scene, at};
use crate::codes::{call, op};
use crate::context::Reader;
use crate::ring_descriptors::RingId;

const DEAD_STACK: Kind = Kind::new("dead-stack", "day1.html#what-an-entry-points-at");
const UNMAPPED: Kind = Kind::new("unmapped-memory", "day1.html#what-an-entry-points-at");
const CHANGED: Kind = Kind::new("changed-in-flight", "day1.html#what-an-entry-points-at");
const ZERO_COPY: Kind = Kind::new("changed-before-notification", "zero-copy.html#break-it");
/// What that means.
const TWO_COMPLETIONS: &str = "A zero-copy send has two completions. The first says how much was taken; the pages stay in \
     the socket's queue until the one with NOTIF. Write to them after that.";
const SHARED: Kind = Kind::new("memory-shared", "a-future-from-a-ring.html#break-it");

const OUTSIDE: Kind = Kind::new("outside-registered-buffer", "c-to-rust.html#buffers");

/// Registrations after which the buffers are not known any more.
const NEW_BUFFERS: [u32; 4] = [
    call::REGISTER_BUFFERS2,
    call::REGISTER_BUFFERS_UPDATE,
    call::REGISTER_CLONE_BUFFERS,
    call::UNREGISTER_BUFFERS,
];

/// Entries whose memory is looked at again and again: enough for a mistake to show.
const WATCHED: usize = 64;

/// Where to look in a buffer, and at how many bytes.
const SAMPLES: u64 = 8;
const SAMPLE: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The dead part of the stack of the thread that is in an enter.
    dead: HashMap<i32, Range<u64>>,
    /// What is sent from, by the entry's number, with what was there.
    sent: HashMap<u64, Vec<u8>>,
    /// Files that were shut down.
    shut: HashSet<Handle>,
    /// The registered buffers of a ring.
    registered: HashMap<RingId, Vec<Range<u64>>>,
    /// Memory that was given back, and when.
    unmapped: Vec<(Range<u64>, u64)>,
}

impl Rules for Memory {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Entering { dead, .. } => {
                match dead {
                    Some(dead) => _ = self.dead.insert(scene.tid, dead.clone()),
                    None => _ = self.dead.remove(&scene.tid),
                }
                self.compare(Some(scene.ring), scene, found);
                if let Some(dead) = dead {
                    in_flight_on(dead, scene, found);
                }
            }
            Fact::Registered { operation, argument, count, result } if result >= 0 => {
                if operation == call::REGISTER_BUFFERS {
                    let ranges = scene.program().ranges(argument, count).unwrap_or_default();
                    self.registered.insert(scene.ring, ranges);
                } else if NEW_BUFFERS.contains(&operation) {
                    self.registered.remove(&scene.ring);
                }
            }
            Fact::Submitted(request) => {
                self.points_into_the_dead(request, scene, found);
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
            Fact::Completed { request: Some(request), completion, .. } => {
                if !scene.open.contains_key(&request.seq) {
                    self.sent.remove(&request.seq);
                }
                if completion.error() == Some(libc::EFAULT) {
                    self.not_there(request, scene, found);
                    self.not_registered(request, scene, found);
                }
            }
            Fact::Returned { enter, .. } if !scene.polled() => {
                let its = |request: &&Request| request.enter == enter.enter;
                for request in scene.open_here().filter(its).take(WATCHED) {
                    shares(request, |_| true, &self.shut, scene, found);
                }
            }
            Fact::Called { name, call, .. } => {
                self.compare(None, scene, found);
                if name == "munmap" {
                    self.unmaps(
                        call.args[0]..call.args[0].saturating_add(call.args[1]),
                        scene,
                        found,
                    );
                } else if name == "mmap" {
                    self.unmapped.clear();
                }
            }
            Fact::Closing { .. } => {
                self.registered.remove(&scene.ring);
                let elsewhere =
                    |seq: &u64| scene.open.get(seq).is_some_and(|it| it.ring != scene.ring);
                self.sent.retain(|seq, _| elsewhere(seq));
            }
            _ => {}
        }
    }
}

/// Where an entry points, and to what.
fn pointer(request: &Request) -> Option<(u64, &'static str)> {
    let address = request.entry.addr;
    let what = match request.entry.opcode {
        op::TIMEOUT | op::LINK_TIMEOUT => "timespec",
        op::READV | op::WRITEV => "iovec list",
        op::SENDMSG | op::RECVMSG | op::SENDMSG_ZC => "msghdr",
        op::OPENAT | op::OPENAT2 | op::STATX | op::UNLINKAT | op::MKDIRAT => "path",
        op::CONNECT | op::BIND => "address",
        op::ACCEPT if address != 0 => "address",
        _ => return request.buffer().map(|buffer| (buffer.start, "buffer")),
    };
    Some((address, what))
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

    fn points_into_the_dead(&self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        let Some(dead) = self.dead.get(&request.tid) else { return };
        let entry = &request.entry;
        let points = pointer(request);
        let Some((address, what)) = points.filter(|(address, _)| dead.contains(address)) else {
            return;
        };
        let time = match entry.opcode {
            op::TIMEOUT | op::LINK_TIMEOUT => scene.program().time(address),
            _ => None,
        };
        let reads =
            time.map_or_else(String::new, |time| format!("; the kernel reads {time} there"));
        found.say(
            scene,
            DEAD_STACK,
            format!(
                "the {what} of {} lies at {address:#x}, below the stack pointer of the thread that \
                 submits it{reads}",
                request.name()
            ),
            "The function that owned it has returned, and its stack is used again. What an entry \
             points at must live until the submit, a buffer until the completion.",
        );
    }

    fn not_there(&self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        let Some((address, what)) = pointer(request) else { return };
        if Reader::of(scene.owner).fill(address, &mut [0]).is_some() {
            return;
        }
        let inside = |(range, _): &&(Range<u64>, u64)| range.contains(&address);
        let when = self.unmapped.iter().rev().find(inside);
        let when = when.map_or_else(String::new, |(_, us)| format!(" since munmap {}", at(*us)));
        found.say(
            scene,
            UNMAPPED,
            format!(
                "the {what} of {} is at {address:#x}, where nothing is mapped{when}: EFAULT",
                request.name(),
            ),
            "The address is wrong, or the memory was given back before the entry went in.",
        );
    }

    /// A registered buffer that does not exist, or a place outside of it.
    fn not_registered(&self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        let entry = &request.entry;
        let fixed = [op::READ_FIXED, op::WRITE_FIXED].contains(&entry.opcode);
        let Some(ranges) = self.registered.get(&scene.ring).filter(|_| fixed) else { return };
        let Some(mine) = request.buffer() else { return };
        let (index, count) = (entry.buf_index, ranges.len());
        let seen = match ranges.get(usize::from(index)) {
            None => format!("{} names buffer {index} of {count}", request.name()),
            Some(range) if range.start <= mine.start && mine.end <= range.end => return,
            Some(range) => format!(
                "{} names {:#x} to {:#x}, and buffer {index} is {:#x} to {:#x}",
                request.name(),
                mine.start,
                mine.end,
                range.start,
                range.end
            ),
        };
        found.say(
            scene,
            OUTSIDE,
            format!("{seen}: EFAULT"),
            "The whole range has to lie in the registered buffer that buf_index names.",
        );
    }

    fn unmaps(&mut self, range: Range<u64>, scene: &Scene<'_>, found: &mut Found) {
        let used = scene.open.values().find(|request| {
            let buffer = request.buffer().filter(|_| request.owner == scene.owner);
            buffer.is_some_and(|buffer| overlap(&buffer, &range))
        });
        if let Some(request) = used {
            found.say(
                scene,
                UNMAPPED,
                format!(
                    "memory of {}, which is in flight, is unmapped {}",
                    request.name(),
                    at(scene.us)
                ),
                "Until its completion is there, an entry's memory is the kernel's. Cancel it, wait \
                 for its completion, and then let the memory go.",
            );
        }
        if self.unmapped.len() < WATCHED {
            self.unmapped.push((range, scene.us));
        }
    }
}

/// The kernel works with the stack of functions that have returned.
fn in_flight_on(dead: &Range<u64>, scene: &Scene<'_>, found: &mut Found) {
    const LOOKED_AT: usize = 256;
    let on_it = scene.open.values().take(LOOKED_AT).find(|request| {
        request.tid == scene.tid
            && request.buffer().is_some_and(|buffer| dead.contains(&buffer.start))
    });
    if let Some(request) = on_it {
        found.say_once(
            scene,
            DEAD_STACK,
            format!(
                "{} has been in flight for {}, with a buffer on the stack of a function that has \
                 returned meanwhile",
                request.name(),
                scene.since(request.us)
            ),
            "The kernel will write into (or read from) whatever lies there then. A buffer must live \
             until the completion.",
        );
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

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}
