//! Which descriptor of which process is which ring.
//!
//! Two things need it: an enter names its ring by a descriptor, and the tracer lets go of a ring
//! with the last descriptor that the program has for it.

use std::collections::HashMap;

use libc::pid_t;

/// A ring's number in the trace.
pub type RingId = u32;

/// A descriptor table, which threads share and processes do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableId(u32);

/// The descriptor tables of all traced processes, as far as rings are in them.
#[derive(Debug, Default)]
pub struct Descriptors {
    tables: HashMap<TableId, HashMap<i32, RingId>>,
    /// Registered ring indices (`IORING_REGISTER_RING_FDS`) belong to a thread.
    indices: HashMap<(pid_t, u32), RingId>,
    last: u32,
}

impl Descriptors {
    /// An empty table.
    pub fn new_table(&mut self) -> TableId {
        self.last += 1;
        self.tables.insert(TableId(self.last), HashMap::new());
        TableId(self.last)
    }

    /// A copy, as a fork makes it.
    pub fn copy(&mut self, table: TableId) -> TableId {
        let copy = self.new_table();
        let rings = self.tables.get(&table).cloned().unwrap_or_default();
        self.tables.insert(copy, rings);
        copy
    }

    /// The ring behind a descriptor.
    pub fn ring(&self, table: TableId, fd: i32) -> Option<RingId> {
        self.tables.get(&table)?.get(&fd).copied()
    }

    /// The ring behind a thread's registered index.
    pub fn indexed(&self, task: pid_t, index: u32) -> Option<RingId> {
        self.indices.get(&(task, index)).copied()
    }

    /// A descriptor now refers to a ring.
    pub fn add(&mut self, table: TableId, fd: i32, ring: RingId) {
        self.tables.entry(table).or_default().insert(fd, ring);
    }

    /// A thread registered an index for a ring.
    pub fn add_index(&mut self, task: pid_t, index: u32, ring: RingId) {
        self.indices.insert((task, index), ring);
    }

    /// A thread gave an index back. Returns the ring if that was its last handle.
    pub fn remove_index(&mut self, task: pid_t, index: u32) -> Option<RingId> {
        let ring = self.indices.remove(&(task, index))?;
        (!self.held(ring)).then_some(ring)
    }

    /// Descriptors from `first` to `last` are being closed. Returns the rings that lost their last
    /// handle by it.
    pub fn close(&mut self, table: TableId, first: u32, last: u32) -> Vec<RingId> {
        let Some(rings) = self.tables.get_mut(&table) else { return Vec::new() };
        let range = first..=last;
        let mut gone = Vec::new();
        rings.retain(|fd, ring| {
            let closed = range.contains(&(*fd as u32));
            if closed {
                gone.push(*ring);
            }
            !closed
        });
        self.only_unheld(gone)
    }

    /// The descriptors that are rings in a table.
    pub fn rings_in(&self, table: TableId) -> Vec<i32> {
        self.tables.get(&table).map_or_else(Vec::new, |rings| rings.keys().copied().collect())
    }

    /// The last task of a table is gone.
    pub fn remove_table(&mut self, table: TableId) -> Vec<RingId> {
        let gone = self.tables.remove(&table).unwrap_or_default().into_values().collect();
        self.only_unheld(gone)
    }

    /// A thread is gone, and its registered indices with it.
    pub fn remove_task(&mut self, task: pid_t) -> Vec<RingId> {
        let mut gone = Vec::new();
        self.indices.retain(|(owner, _), ring| {
            if *owner == task {
                gone.push(*ring);
            }
            *owner != task
        });
        self.only_unheld(gone)
    }

    fn only_unheld(&self, mut rings: Vec<RingId>) -> Vec<RingId> {
        rings.sort_unstable();
        rings.dedup();
        rings.retain(|ring| !self.held(*ring));
        rings
    }

    fn held(&self, ring: RingId) -> bool {
        self.indices.values().any(|held| *held == ring)
            || self.tables.values().any(|rings| rings.values().any(|held| *held == ring))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_let_go_with_its_last_handle() {
        let mut descriptors = Descriptors::default();
        let parent = descriptors.new_table();
        descriptors.add(parent, 4, 1);
        descriptors.add(parent, 9, 1);
        let child = descriptors.copy(parent);
        assert_eq!(descriptors.close(parent, 4, 4), Vec::<RingId>::new());
        assert_eq!(
            descriptors.close(parent, 3, u32::MAX),
            Vec::<RingId>::new(),
            "the child still has it"
        );
        assert_eq!(descriptors.ring(child, 9), Some(1));
        assert_eq!(descriptors.remove_table(child), [1]);
    }

    #[test]
    fn a_registered_index_holds_a_ring_too() {
        let mut descriptors = Descriptors::default();
        let table = descriptors.new_table();
        descriptors.add(table, 4, 1);
        descriptors.add_index(100, 0, 1);
        assert_eq!(descriptors.close(table, 4, 4), Vec::<RingId>::new());
        assert_eq!(descriptors.indexed(100, 0), Some(1));
        assert_eq!(descriptors.indexed(101, 0), None, "an index is its thread's own");
        assert_eq!(descriptors.remove_task(100), [1]);
    }
}
