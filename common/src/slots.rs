//! The direct slots of a ring: who sits in which, and how clients are let in.
//!
//! The kernel hands out slots of the registered file table (`IORING_FILE_INDEX_ALLOC`) and
//! takes them back on `IORING_OP_CLOSE`. It keeps no record of which client had a slot
//! before. [`Slots`] does, and [`Admission`] decides when it is safe to accept.

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

    /// An operation's last completion came in. `false`: it was for an earlier client, and
    /// must not touch this one.
    pub fn finish(&mut self, slot: u32, generation: u16) -> bool {
        if !self.is_current(slot, generation) {
            return false;
        }
        let in_flight = &mut self.table[slot as usize].in_flight;
        debug_assert!(*in_flight > 0, "slot {slot} had nothing in flight");
        *in_flight = in_flight.saturating_sub(1);
        true
    }

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

    /// The slot was closed: it may be handed out again.
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

/// How clients are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One multishot accept: an entry once, a completion for every client.
    Multishot,
    /// One single accept for every free slot: no client can be accepted without a place.
    OneByOne,
}

/// What to do about the accept now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Queue a multishot accept.
    ArmMultishot,
    /// Queue one single accept.
    ArmSingle,
    /// Queue a cancel of every accept that is armed.
    Cancel,
    /// Nothing to do until something completes.
    Wait,
}

/// Lets clients in without losing one.
///
/// A direct accept on a full table fails with ENFILE *after* it took the client off the
/// backlog: that client is gone. And a multishot goes on accepting until user space has
/// seen its completions and cancelled it, which is too late when the table is exactly as
/// large as the capacity. Two rules make it safe:
///
/// 1. The table has [`Admission::spare`] slots beyond the capacity. A multishot posts a
///    completion for every client, and ends when the completion queue is full, so it cannot
///    outrun user space by more than the queue holds. Who lands in a spare slot waits there.
/// 2. Near capacity the multishot is cancelled, and what replaces it is one single accept
///    for each free slot. The others wait in the listener's backlog.
///
/// Never are both armed at once.
#[derive(Debug)]
pub struct Admission {
    capacity: u32,
    /// Fewer free slots than this: one by one.
    low: u32,
    way: Way,
    armed: u32,
    cancelling: bool,
    closed: bool,
}

/// Single accepts that are armed at once; more would only wait for the same backlog.
const SINGLES: u32 = 16;

impl Admission {
    /// For `capacity` clients at a time and a table of `table` slots, `spare` of them beyond
    /// the capacity. With fewer than [`Admission::spare`] of those, clients are let in one
    /// by one throughout.
    pub fn new(capacity: u32, table: u32, cq_entries: u32) -> Admission {
        let roomy = table >= capacity.saturating_add(Admission::spare(cq_entries));
        Admission {
            capacity,
            low: if roomy { (capacity / 8).clamp(1, 64) } else { u32::MAX },
            way: if roomy { Way::Multishot } else { Way::OneByOne },
            armed: 0,
            cancelling: false,
            closed: false,
        }
    }

    /// Slots beyond the capacity that a multishot can fill before it stops: once what the
    /// completion queue holds when user space decides to cancel, and once more while the
    /// cancel is on its way. The one of each is the completion that ends the multishot.
    pub fn spare(cq_entries: u32) -> u32 {
        2 * (cq_entries + 1)
    }

    /// The way in use.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Whether an accept is armed.
    pub fn is_armed(&self) -> bool {
        self.armed > 0
    }

    /// No more clients: from now on the only step is to cancel what is armed.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// What to do, given the slots that are held. Call it until it says [`Step::Wait`].
    pub fn step(&mut self, held: u32) -> Step {
        let free = self.capacity.saturating_sub(held);
        let wanted = self.wanted(free);
        if self.closed || wanted != self.way {
            if self.armed > 0 {
                if self.cancelling {
                    return Step::Wait;
                }
                self.cancelling = true;
                return Step::Cancel;
            }
            self.way = wanted;
        }
        let limit = match self.way {
            _ if self.closed => 0,
            Way::Multishot => 1,
            Way::OneByOne => free.min(SINGLES),
        };
        if self.armed >= limit {
            return Step::Wait;
        }
        self.armed += 1;
        match self.way {
            Way::Multishot => Step::ArmMultishot,
            Way::OneByOne => Step::ArmSingle,
        }
    }

    /// An accept ended: its completion came without `IORING_CQE_F_MORE`, whatever its result.
    pub fn accept_ended(&mut self) {
        self.armed = self.armed.saturating_sub(1);
    }

    /// The cancel completed. If an accept is still armed, the next step cancels again.
    pub fn cancel_ended(&mut self) {
        self.cancelling = false;
    }

    /// The way that suits this many free slots. The two thresholds differ, so that one
    /// client coming and going does not change it every time.
    fn wanted(&self, free: u32) -> Way {
        match self.way {
            Way::Multishot if free < self.low => Way::OneByOne,
            Way::OneByOne
                if free >= self.low.saturating_mul(2).min(self.capacity)
                    && self.low != u32::MAX =>
            {
                Way::Multishot
            }
            same => same,
        }
    }
}
