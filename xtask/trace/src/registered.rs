//! What a program has registered with a ring, as far as entries and completions refer to it
//! later: the memory of its waits, the buffers it provides, the files in its slots.

use std::collections::HashMap;

use super::codes::{call, op, sqe};
use super::context::{Reader, half, long, word};
use super::decode::{Direct, Entry};
use super::ran::File;

/// What is registered with one ring.
#[derive(Debug, Default)]
pub struct Registered {
    waits: Option<u64>,
    groups: HashMap<u16, Group>,
    /// By slot, of those that were filled with a descriptor.
    files: HashMap<u32, String>,
    /// The kind of the file in a slot, whether an entry or a register call filled it.
    kinds: HashMap<u32, File>,
}

/// A group of provided buffers.
#[derive(Debug)]
enum Group {
    /// A ring of them (`struct io_uring_buf_ring`), and where the kernel is in it.
    Ring { address: u64, entries: u32, head: u32 },
    /// A ring of buffers that several completions fill one after the other (`IOU_PBUF_RING_INC`):
    /// the ring's entry of a buffer changes while it fills. `next` is the buffer that gets the next
    /// bytes, and where.
    Parts { address: u64, entries: u32, head: u32, next: Option<(u16, u64)> },
    /// Single ones by their id: address and length (`IORING_OP_PROVIDE_BUFFERS`).
    Singles(HashMap<u16, (u64, u32)>),
}

/// A provided buffer that a completion gives to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Its id.
    pub id: u16,
    /// Where it is.
    pub address: u64,
    /// Its length, of which the completion may have used less.
    pub length: u32,
}

/// `IORING_FILE_INDEX_ALLOC`: any free slot.
const FILE_INDEX_ALLOC: u32 = u32::MAX;

/// What is in a slot, or that this is not known.
fn set<T>(slots: &mut HashMap<u32, T>, slot: u32, what: Option<T>) {
    match what {
        Some(what) => _ = slots.insert(slot, what),
        None => _ = slots.remove(&slot),
    }
}

impl Registered {
    /// Where the arguments of waits are kept (`IORING_ENTER_EXT_ARG_REG`).
    pub fn waits(&self) -> Option<u64> {
        self.waits
    }

    /// Slots from `first` on get the files of `count` descriptors.
    fn fill(&mut self, program: Reader, first: u32, list: u64, count: u64) -> Option<()> {
        /// `IORING_REGISTER_FILES_SKIP`: the slot stays as it is.
        const SKIP: i32 = -2;
        /// Only the first ones are followed.
        const MOST: u64 = 1024;
        for (slot, fd) in (first..=u32::MAX).zip(program.numbers(list, count, MOST)?) {
            if fd == SKIP {
                continue;
            }
            set(&mut self.files, slot, program.descriptor(fd));
            set(&mut self.kinds, slot, program.kind(fd));
        }
        Some(())
    }

    /// A register call with `count` arguments has succeeded.
    pub fn call(
        &mut self,
        program: Reader,
        operation: u32,
        argument: u64,
        count: u64,
    ) -> Option<()> {
        match operation {
            call::REGISTER_FILES => self.fill(program, 0, argument, count)?,
            call::REGISTER_FILES2 => {
                let table: [u8; 24] = program.bytes(argument)?;
                if long(&table, 16) != 0 {
                    self.fill(program, 0, long(&table, 16), word(&table, 0).into())?;
                }
            }
            call::REGISTER_FILES_UPDATE => {
                let update: [u8; 16] = program.bytes(argument)?;
                self.fill(program, word(&update, 0), long(&update, 8), count)?;
            }
            call::REGISTER_FILES_UPDATE2 => {
                let update: [u8; 28] = program.bytes(argument)?;
                let count = word(&update, 24).into();
                self.fill(program, word(&update, 0), long(&update, 8), count)?;
            }
            call::UNREGISTER_FILES => {
                self.files.clear();
                self.kinds.clear();
            }
            call::REGISTER_PBUF_RING => {
                /// `IOU_PBUF_RING_MMAP`: the ring has no address yet.
                const NOWHERE: u16 = 1 << 0;
                /// `IOU_PBUF_RING_INC`.
                const INCREMENTAL: u16 = 1 << 1;
                let ring: [u8; 40] = program.bytes(argument)?;
                let (address, entries, group) = (long(&ring, 0), word(&ring, 8), half(&ring, 12));
                self.groups.remove(&group);
                let flags = half(&ring, 14);
                if flags & NOWHERE == 0 && entries.is_power_of_two() {
                    let ring = match flags & INCREMENTAL {
                        0 => Group::Ring { address, entries, head: 0 },
                        _ => Group::Parts { address, entries, head: 0, next: None },
                    };
                    self.groups.insert(group, ring);
                }
            }
            call::UNREGISTER_PBUF_RING => {
                let ring: [u8; 40] = program.bytes(argument)?;
                self.groups.remove(&half(&ring, 12));
            }
            call::REGISTER_MEM_REGION => {
                /// `IORING_MEM_REGION_REG_WAIT_ARG`.
                const WAITS: u64 = 1;
                /// `IORING_MEM_REGION_TYPE_USER`: the memory is the program's own.
                const OWN: u32 = 1;
                let region: [u8; 16] = program.bytes(argument)?;
                let memory: [u8; 20] = program.bytes(long(&region, 0))?;
                if long(&region, 8) & WAITS != 0 && word(&memory, 16) & OWN != 0 {
                    self.waits = Some(long(&memory, 0));
                }
            }
            _ => {}
        }
        Some(())
    }

    /// An entry goes in that fills slots, or provides buffers.
    pub fn submitted(&mut self, program: Reader, entry: &Entry) {
        match (entry.opcode, entry.direct()) {
            (op::PROVIDE_BUFFERS, _) => self.provided(entry),
            // The kernel picks the slots, and the list names them only afterwards.
            (op::FILES_UPDATE, _) if entry.off as u32 == FILE_INDEX_ALLOC => {}
            (op::FILES_UPDATE, _) => {
                let _ = self.fill(program, entry.off as u32, entry.addr, entry.len.into());
            }
            // A read before it in the same chain was noted earlier, while the slot still had its file.
            (op::CLOSE, _) if entry.file_index > 0 => {
                self.files.remove(&(entry.file_index - 1));
            }
            (_, Direct::Slot(slot)) => self.filled_by(entry, slot),
            _ => {}
        }
    }

    /// An entry has filled this slot, which the kernel may have picked, or has emptied it.
    pub fn filled_by(&mut self, entry: &Entry, slot: u32) {
        self.files.remove(&slot);
        set(&mut self.kinds, slot, File::made_by(entry));
    }

    /// The kind of the file that an entry is about, if it is in a slot and known.
    pub fn kind_of(&self, entry: &Entry) -> Option<File> {
        self.kinds.get(&entry.has(sqe::FIXED_FILE).then_some(entry.fd as u32)?).copied()
    }

    /// The file that an entry is about, if it is in a slot and known.
    pub fn file_of(&self, entry: &Entry) -> Option<String> {
        let slot = entry.has(sqe::FIXED_FILE).then_some(entry.fd as u32)?;
        self.files.get(&slot).cloned()
    }

    fn provided(&mut self, entry: &Entry) {
        let group = self.groups.entry(entry.buf_index);
        if let Group::Singles(buffers) = group.or_insert_with(|| Group::Singles(HashMap::new())) {
            // Ids have 16 bits: there are no more.
            for nth in 0..entry.fd.clamp(0, 1 << 16) as u64 {
                let address = entry.addr.wrapping_add(nth * u64::from(entry.len));
                buffers.insert(entry.off.wrapping_add(nth) as u16, (address, entry.len));
            }
        }
    }

    /// An enter begins, and every completion so far is known: at this moment the ring's entry of a
    /// buffer that fills in parts is true.
    pub fn entering(&mut self, program: Reader) {
        for group in self.groups.values_mut() {
            if let Group::Parts { address, entries, head, next } = group {
                let buffer = buffer_at(program, (*address, *entries), *head);
                *next = buffer.map(|buffer| (buffer.id, buffer.address));
            }
        }
    }

    /// The buffers that a completion gives to the program, `id` the first of them: one, or with a
    /// bundle as many as hold `bytes`. If the buffer fills in parts, it is only the part, and
    /// `more` says that others may follow. Empty if nothing is known of them.
    pub fn filled(
        &mut self,
        program: Reader,
        asked: &Entry,
        id: u16,
        bytes: u32,
        more: bool,
    ) -> Vec<Filled> {
        let group = asked.buf_index;
        if let Some(Group::Parts { head, next, .. }) = self.groups.get_mut(&group) {
            let part = next.take().filter(|(next, _)| *next == id);
            match more {
                true => *next = part.map(|(id, address)| (id, address + u64::from(bytes))),
                false => *head = head.wrapping_add(1),
            }
            return part
                .map(|(id, address)| Filled { id, address, length: bytes })
                .into_iter()
                .collect();
        }
        let bytes = if asked.bundles() { bytes } else { 0 };
        let filled = match self.groups.get_mut(&group) {
            Some(Group::Ring { address, entries, head }) => {
                next_in_ring(program, (*address, *entries), head, id, bytes)
            }
            Some(Group::Singles(buffers)) => buffers
                .get(&id)
                .map(|(address, length)| vec![Filled { id, address: *address, length: *length }]),
            Some(Group::Parts { .. }) | None => return Vec::new(),
        };
        if filled.is_none() {
            // Do not look for it again.
            self.groups.remove(&group);
        }
        filled.unwrap_or_default()
    }
}

/// The ring's entry of a buffer (`struct io_uring_buf`).
fn buffer_at(program: Reader, (address, entries): (u64, u32), index: u32) -> Option<Filled> {
    let place = u64::from(index & (entries - 1)) * 16;
    let buffer: [u8; 16] = program.bytes(address.checked_add(place)?)?;
    Some(Filled { id: half(&buffer, 12), address: long(&buffer, 0), length: word(&buffer, 8) })
}

/// Looks for a buffer in its ring from `head` on, and takes it and as many after it as hold
/// `bytes`. `head` is then behind the last.
fn next_in_ring(
    program: Reader,
    (address, entries): (u64, u32),
    head: &mut u32,
    id: u16,
    bytes: u32,
) -> Option<Vec<Filled>> {
    let at = |index: u32| buffer_at(program, (address, entries), index);
    // Completions of a polled ring can go by unseen, so the next need not be the one.
    let mut index = (0..entries)
        .map(|step| head.wrapping_add(step))
        .find(|index| at(*index).is_some_and(|buffer| buffer.id == id))?;
    let mut filled = Vec::new();
    let mut held = 0;
    while filled.is_empty() || held < u64::from(bytes) && filled.len() < entries as usize {
        let buffer = at(index)?;
        held += u64::from(buffer.length);
        filled.push(buffer);
        index = index.wrapping_add(1);
    }
    *head = index;
    Some(filled)
}

#[cfg(test)]
mod tests;
