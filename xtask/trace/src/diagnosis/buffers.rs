//! Keeps count of provided buffers: where they are when a group is empty.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::{Fact, Found, Kind, Request, Rules, Scene, at, listed};
use crate::codes::{call, cqe, op, sqe};
use crate::context::{Reader, half, long, word};
use crate::decode::Completion;
use crate::ring_descriptors::RingId;

const LEAKED: Kind =
    Kind::new("buffers-not-returned", "day4-echo.html#receiving-without-owning-a-buffer");
const NO_GROUP: Kind =
    Kind::new("no-buffer-group", "day4-echo.html#receiving-without-owning-a-buffer");
const OVERLAP: Kind = Kind::new("buffers-overlap", "when-it-goes-wrong.html#pitfall-16");
const TWICE: Kind = Kind::new("buffer-twice", "when-it-goes-wrong.html#pitfall-16");

/// Answers in a row that say "no buffers", without a buffer given back between them.
const ROW: u32 = 16;

/// A buffer that a completion handed out.
#[derive(Debug)]
struct Out {
    by: u64,
    us: u64,
}

#[derive(Debug, Default)]
struct Group {
    /// Where its ring is and how many places that has; `None` for single buffers.
    ring: Option<(u64, u32)>,
    /// Its books cannot be kept: its ring is not in memory that is known, or a buffer is used in
    /// parts.
    unknown: bool,
    /// The tail of its ring at the last look.
    tail: u16,
    /// The buffers that are in it, and how often: once, if all is well.
    inside: HashMap<u16, u32>,
    out: BTreeMap<u16, Out>,
    /// The memory of each buffer that was ever in it.
    memory: BTreeMap<u16, Range<u64>>,
    /// Receives in a row that found it empty, and the last of them.
    empty: Option<(u32, String, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Buffers {
    groups: HashMap<(RingId, u16), Group>,
}

impl Rules for Buffers {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Registered { operation, argument, result, .. } if result >= 0 => {
                self.registered(operation, argument, scene);
            }
            Fact::Submitted(request) => self.provided(request, scene, found),
            Fact::Completed { request: Some(request), completion, .. }
                if request.entry.has(sqe::BUFFER_SELECT) =>
            {
                self.answered(request, completion, scene, found);
            }
            Fact::Entering { enter, .. } => {
                let here = self.groups.iter_mut().filter(|((ring, _), _)| *ring == scene.ring);
                for ((_, id), group) in here {
                    if let Some((one, other)) = group.published(scene.program()) {
                        overlap(one, other, *id, scene, found);
                    }
                    if let Some(double) = group.double() {
                        twice(double, *id, &format!("enter {}", enter.enter), scene, found);
                    }
                }
            }
            Fact::Still { .. } | Fact::Closing { .. } => {
                let here = self.groups.iter().filter(|((ring, _), _)| *ring == scene.ring);
                for ((_, id), group) in here {
                    group.leaked(*id, scene, found);
                }
                if matches!(fact, Fact::Closing { .. }) {
                    self.groups.retain(|(ring, _), _| *ring != scene.ring);
                }
            }
            _ => {}
        }
    }
}

impl Buffers {
    fn registered(&mut self, operation: u32, argument: u64, scene: &Scene<'_>) -> Option<()> {
        /// `IOU_PBUF_RING_MMAP` and `IOU_PBUF_RING_INC`.
        const NOT_FOLLOWED: u16 = 0b11;
        if ![call::REGISTER_PBUF_RING, call::UNREGISTER_PBUF_RING].contains(&operation) {
            return None;
        }
        let about: [u8; 40] = scene.program().bytes(argument)?;
        let key = (scene.ring, half(&about, 12));
        self.groups.remove(&key);
        if operation == call::REGISTER_PBUF_RING {
            let ring = Some((long(&about, 0), word(&about, 8)));
            let unknown = half(&about, 14) & NOT_FOLLOWED != 0;
            self.groups.insert(key, Group { ring, unknown, ..Group::default() });
        }
        Some(())
    }

    fn provided(&mut self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        let entry = &request.entry;
        if entry.opcode != op::PROVIDE_BUFFERS {
            return;
        }
        let group = self.groups.entry((scene.ring, entry.buf_index)).or_default();
        group.empty = None;
        for nth in 0..entry.fd.clamp(0, 1 << 16) as u64 {
            let id = (entry.off + nth) as u16;
            let address = entry.addr.saturating_add(nth * u64::from(entry.len));
            if let Some(other) = group.lies_at(id, address, entry.len) {
                overlap(id, other, entry.buf_index, scene, found);
            }
            group.out.remove(&id);
            *group.inside.entry(id).or_default() += 1;
            if group.double() == Some(id) {
                twice(id, entry.buf_index, &request.name(), scene, found);
            }
        }
    }

    fn answered(
        &mut self,
        request: &Request,
        completion: &Completion,
        scene: &Scene<'_>,
        found: &mut Found,
    ) {
        /// `IORING_CQE_F_BUF_MORE`: the rest of the buffer is used later.
        const BUF_MORE: u32 = 1 << 4;
        let id = request.entry.buf_index;
        let empty = completion.error() == Some(libc::ENOBUFS);
        let Some(group) = self.groups.get_mut(&(scene.ring, id)) else {
            if empty {
                found.say_once(
                    scene,
                    NO_GROUP,
                    format!("{} asks for a buffer of group {id}: ENOBUFS", request.name()),
                    "No buffers were provided under that number in this ring. Each ring has its own \
                     groups.",
                );
            }
            return;
        };
        if empty {
            group.published(scene.program());
            let row = group.empty.take().map_or(0, |(row, ..)| row) + 1;
            group.empty = Some((row, request.name(), scene.us));
            if row == ROW {
                group.leaked(id, scene, found);
            }
            if group.ring.is_some() && !group.unknown && group.tail == 0 && group.memory.is_empty()
            {
                found.say_once(
                    scene,
                    NO_GROUP,
                    format!(
                        "{} asks for a buffer of group {id}: ENOBUFS; the tail of its buffer ring is 0",
                        request.name()
                    ),
                    "Nothing was published in that ring: writing a buffer into its place is half of \
                     it. Advance the tail (io_uring_buf_ring_advance in C) after the buffers are \
                     written, with a release store.",
                );
            }
        } else if completion.has(cqe::BUFFER) {
            group.unknown |= request.entry.bundles() || completion.has(BUF_MORE);
            group.empty = None;
            let Some(buffer) = completion.buffer().filter(|_| !group.unknown) else { return };
            // It may have been given back before its completion was seen.
            if group.inside.get(&buffer).is_none_or(|times| *times == 0) {
                group.published(scene.program());
            }
            if let Some(times) = group.inside.get_mut(&buffer) {
                *times = times.saturating_sub(1);
            }
            group.out.insert(buffer, Out { by: request.seq, us: scene.us });
        }
    }
}

fn overlap(one: u16, other: u16, group: u16, scene: &Scene<'_>, found: &mut Found) {
    found.say_once(
        scene,
        OVERLAP,
        format!("buffers {one} and {other} of group {group} lie in the same memory"),
        "Two receives will overwrite each other's bytes. Place the buffers one length apart: the \
         length that is given is that of one buffer, not of all.",
    );
}

fn twice(buffer: u16, group: u16, by: &str, scene: &Scene<'_>, found: &mut Found) {
    found.say_once(
        scene,
        TWICE,
        format!("buffer {buffer} of group {group} is in the group twice, as {by} shows"),
        "It was given back twice, or under another buffer's id: two receives will fill the same memory. \
         Give back the id that the completion names, once.",
    );
}

impl Group {
    /// The tail of the buffer ring, which is where its first buffer's last two bytes would be.
    fn tail(&self, program: Reader) -> Option<u16> {
        const TAIL: u64 = 14;
        let (address, _) = self.ring.filter(|_| !self.unknown)?;
        Some(half(&program.bytes::<2>(address.checked_add(TAIL)?)?, 0))
    }

    /// Remembers where a buffer lies. Returns another buffer that lies there, too.
    fn lies_at(&mut self, id: u16, address: u64, length: u32) -> Option<u16> {
        let range = address..address.saturating_add(length.into());
        if self.memory.get(&id) == Some(&range) {
            return None;
        }
        let touches = |(other, known): &(&u16, &Range<u64>)| {
            **other != id && known.start < range.end && range.start < known.end
        };
        let other = self.memory.iter().find(touches).map(|(other, _)| *other);
        self.memory.insert(id, range);
        other
    }

    /// A buffer that is in it twice.
    fn double(&self) -> Option<u16> {
        self.inside.iter().find(|(_, times)| **times > 1).map(|(id, _)| *id)
    }

    /// Reads what was put into the ring. Returns two buffers that lie in the same memory.
    fn published(&mut self, program: Reader) -> Option<(u16, u16)> {
        let (tail, (address, places)) = self.tail(program).zip(self.ring)?;
        let new = tail.wrapping_sub(self.tail);
        let mut overlap = None;
        // More went by than the ring has places.
        self.unknown |= u32::from(new) > places;
        for step in 0..if self.unknown { 0 } else { new } {
            let index = u32::from(self.tail.wrapping_add(step)) & places.saturating_sub(1);
            let buffer = program.bytes::<16>(address.checked_add(u64::from(index) * 16)?)?;
            let id = half(&buffer, 12);
            *self.inside.entry(id).or_default() += 1;
            let other = self.lies_at(id, long(&buffer, 0), word(&buffer, 8));
            overlap = overlap.or(other.map(|other| (id, other)));
            self.out.remove(&id);
            self.empty = None;
        }
        self.tail = tail;
        overlap
    }

    /// The group is empty, and its buffers were not given back.
    fn leaked(&self, id: u16, scene: &Scene<'_>, found: &mut Found) {
        let Some((row, last, us)) = &self.empty else { return };
        // A buffer that is being sent comes back after the send.
        if self.out.is_empty() || scene.open_here().any(|request| request.entry.gives()) {
            return;
        }
        let first = self.out.values().map(|out| out.us).min().unwrap_or(0);
        found.say_once(
            scene,
            LEAKED,
            format!(
                "group {id} is empty: {last} ended with ENOBUFS {}, the last of {row} in a row; its \
                 buffers {} were handed out by the completions of entries {}, the first {}, and \
                 never given back",
                at(*us),
                listed(self.out.keys()),
                listed(self.out.values().map(|out| out.by)),
                at(first)
            ),
            "A completion gives its buffer to the program. Give it back after each completion, \
             also after the last message, an error or an end.",
        );
    }
}
