//! What an entry points at: memory that is not there, that is outside of its registered buffer, or
//! that belongs to a function which has returned.

use std::collections::HashMap;
use std::ops::Range;

use super::memory::{WATCHED, overlap};
use super::{Fact, Found, Kind, Request, Rules, Scene, at};
use crate::codes::{call, op};
use crate::context::Reader;
use crate::ring_descriptors::RingId;

const DEAD_STACK: Kind = Kind::new("dead-stack", "day1.html#what-an-entry-points-at");
const UNMAPPED: Kind = Kind::new("unmapped-memory", "day1.html#what-an-entry-points-at");
const OUTSIDE: Kind = Kind::new("outside-registered-buffer", "c-to-rust.html#buffers");

/// Registrations after which the buffers are not known any more.
const NEW_BUFFERS: [u32; 4] = [
    call::REGISTER_BUFFERS2,
    call::REGISTER_BUFFERS_UPDATE,
    call::REGISTER_CLONE_BUFFERS,
    call::UNREGISTER_BUFFERS,
];

#[derive(Debug, Default)]
pub(super) struct Pointers {
    /// The dead part of the stack of the thread that is in an enter.
    dead: HashMap<i32, Range<u64>>,
    /// The registered buffers of a ring.
    registered: HashMap<RingId, Vec<Range<u64>>>,
    /// Memory that was given back, and when.
    unmapped: Vec<(Range<u64>, u64)>,
}

impl Rules for Pointers {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Entering { dead: Some(dead), .. } => {
                self.dead.insert(scene.tid, dead.clone());
                in_flight_on(dead, scene, found);
            }
            Fact::Entering { dead: None, .. } => _ = self.dead.remove(&scene.tid),
            Fact::Registered { operation, argument, count, result } if result >= 0 => {
                if operation == call::REGISTER_BUFFERS {
                    let ranges = scene.program().ranges(argument, count).unwrap_or_default();
                    self.registered.insert(scene.ring, ranges);
                } else if NEW_BUFFERS.contains(&operation) {
                    self.registered.remove(&scene.ring);
                }
            }
            Fact::Submitted(request) => self.points_into_the_dead(request, scene, found),
            Fact::Completed { request: Some(request), completion, .. }
                if completion.error() == Some(libc::EFAULT) =>
            {
                self.not_there(request, scene, found);
                self.not_registered(request, scene, found);
            }
            Fact::Called { name: "munmap", call, .. } => {
                let [start, length, ..] = call.args;
                self.unmaps(start..start.saturating_add(length), scene, found);
            }
            Fact::Called { name: "mmap", .. } => self.unmapped.clear(),
            Fact::Closing { .. } => _ = self.registered.remove(&scene.ring),
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

impl Pointers {
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
