//! The direct slots of a ring, and which client has which.
//!
//! The kernel gives out slots of the registered file table (`IORING_FILE_INDEX_ALLOC`) and takes
//! them back on `IORING_OP_CLOSE`. It keeps no record of the client that had a slot before.
//! [`Slots`] does.

/// The ledger of a sparse table: one entry a slot.
#[derive(Debug)]
pub struct Slots {
    table: Vec<Slot>,
    held: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    held: bool,
    generation: u16,
    in_flight: u16,
}

impl Slots {
    /// A ledger of `len` empty slots.
    pub fn new(len: u32) -> Slots {
        Slots { table: vec![Slot::default(); len as usize], held: 0 }
    }

    /// Slots with a client in them.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// A client was accepted into `slot`: returns its generation.
    ///
    /// Nothing that was submitted for an earlier client of the slot passes
    /// [`Slots::finish`] from here on.
    ///
    /// # Panics
    /// If the table has no such slot.
    pub fn occupy(&mut self, slot: u32) -> u16 {
        let entry = &mut self.table[slot as usize];
        if !entry.held {
            self.held += 1;
        }
        *entry = Slot { held: true, generation: entry.generation.wrapping_add(1), in_flight: 0 };
        entry.generation
    }

    /// An operation on the slot's present client was queued.
    pub fn start(&mut self, slot: u32) {
        self.table[slot as usize].in_flight += 1;
    }

    // ANCHOR: finish
    /// An operation's last completion came in. `false`: it was for an earlier client, and must not
    /// affect this one.
    pub fn finish(&mut self, slot: u32, generation: u16) -> bool {
        if !self.is_current(slot, generation) {
            return false;
        }
        let in_flight = &mut self.table[slot as usize].in_flight;
        debug_assert!(*in_flight > 0, "slot {slot} had nothing in flight");
        *in_flight = in_flight.saturating_sub(1);
        true
    }
    // ANCHOR_END: finish

    /// Whether the slot still belongs to the client of that generation.
    pub fn is_current(&self, slot: u32, generation: u16) -> bool {
        self.table
            .get(slot as usize)
            .is_some_and(|entry| entry.held && entry.generation == generation)
    }

    /// The generation of the slot's present client, if it has one.
    pub fn generation(&self, slot: u32) -> Option<u16> {
        self.table.get(slot as usize).filter(|entry| entry.held).map(|entry| entry.generation)
    }

    /// Operations on the slot's present client that have not ended.
    pub fn in_flight(&self, slot: u32) -> u16 {
        self.table[slot as usize].in_flight
    }

    /// The slot was closed: it may be given out again.
    ///
    /// # Panics
    /// If an operation on it is still in flight: it would reach the next client.
    pub fn release(&mut self, slot: u32) {
        let entry = &mut self.table[slot as usize];
        assert_eq!(entry.in_flight, 0, "slot {slot} released with operations in flight");
        if entry.held {
            entry.held = false;
            self.held -= 1;
        }
    }

    /// The slots that have a client.
    pub fn occupied(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.table).filter(|(_, entry)| entry.held).map(|(slot, _)| slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const LEN: u32 = 4;

    #[derive(Clone, Debug)]
    enum Event {
        Accepted(u32),
        Submitted(u32),
        Completed { slot: u32, age: u16 },
        Closed(u32),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0..LEN).prop_map(Event::Accepted),
            (0..LEN).prop_map(Event::Submitted),
            (0..LEN, 0..3u16).prop_map(|(slot, age)| Event::Completed { slot, age }),
            (0..LEN).prop_map(Event::Closed),
        ];
        prop::collection::vec(event, 0..200)
    }

    proptest! {
        /// The ledger against the simplest record there is: a map from each slot that is
        /// held to its client's number and what is in flight.
        #[test]
        fn the_ledger_agrees_with_a_map(events in events()) {
            let mut slots = Slots::new(LEN);
            let mut model: HashMap<u32, (u16, u16)> = HashMap::new();
            for event in events {
                match event {
                    Event::Accepted(slot) if !model.contains_key(&slot) => {
                        model.insert(slot, (slots.occupy(slot), 0));
                    }
                    Event::Submitted(slot) => {
                        if let Some((_, in_flight)) = model.get_mut(&slot) {
                            *in_flight += 1;
                            slots.start(slot);
                        }
                    }
                    Event::Completed { slot, age } => {
                        let Some((generation, in_flight)) = model.get_mut(&slot) else {
                            prop_assert!(!slots.finish(slot, age));
                            continue;
                        };
                        if age > 0 {
                            prop_assert!(!slots.finish(slot, generation.wrapping_sub(age)));
                        } else if *in_flight > 0 {
                            *in_flight -= 1;
                            prop_assert!(slots.finish(slot, *generation));
                        }
                    }
                    Event::Closed(slot) if model.get(&slot).is_some_and(|(_, n)| *n == 0) => {
                        model.remove(&slot);
                        slots.release(slot);
                    }
                    _ => {}
                }
                prop_assert_eq!(slots.held() as usize, model.len());
                for slot in 0..LEN {
                    let expected = model.get(&slot).map(|(generation, _)| *generation);
                    prop_assert_eq!(slots.generation(slot), expected);
                    prop_assert_eq!(slots.occupied().any(|held| held == slot), expected.is_some());
                }
            }
        }
    }

    /// Pitfall 10 of the book: what was submitted for one client does not reach the next.
    #[test]
    fn a_late_completion_is_not_the_next_clients() {
        let mut slots = Slots::new(1);
        let first = slots.occupy(0);
        slots.release(0);
        let second = slots.occupy(0);
        slots.start(0);
        assert!(!slots.finish(0, first));
        assert_eq!(slots.in_flight(0), 1);
        assert!(slots.finish(0, second));
    }

    #[test]
    #[should_panic(expected = "operations in flight")]
    fn a_slot_is_not_released_while_something_is_in_flight() {
        let mut slots = Slots::new(1);
        slots.occupy(0);
        slots.start(0);
        slots.release(0);
    }
}
