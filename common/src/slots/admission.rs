//! Letting clients in without losing one.

use std::time::{Duration, Instant};

/// How clients are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One multishot accept: an entry once, a completion for every client.
    Multishot,
    /// One single accept for every free slot: no client can be accepted without a place.
    OneByOne,
}

impl Way {
    /// The name that events give it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Multishot => "multishot",
            Way::OneByOne => "one by one",
        }
    }
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

// ANCHOR: rules
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
// ANCHOR_END: rules
#[derive(Debug)]
pub struct Admission {
    capacity: u32,
    /// Fewer free slots than this: one by one.
    low: u32,
    way: Way,
    armed: u32,
    cancelling: bool,
    closed: bool,
    retry_at: Option<Instant>,
}

/// How long accepting rests after it failed for want of memory or of files.
const REST: Duration = Duration::from_millis(100);
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
            retry_at: None,
        }
    }

    /// Slots beyond the capacity that a multishot can fill before it stops: once what the
    /// completion queue holds when user space decides to cancel, and once more while the
    /// cancel is on its way. The 1 in each is the completion that ends the multishot.
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

    /// An accept failed because the system ran out of something. Armed again at once it would
    /// fail again, and again; so accepting rests for a while.
    pub fn rest(&mut self) {
        self.retry_at = Some(Instant::now() + REST);
    }

    /// How long accepting still rests; the wait should not be longer.
    pub fn rests_for(&self) -> Option<Duration> {
        self.retry_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    // ANCHOR: step
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
        let resting = self.rests_for().is_some_and(|time| !time.is_zero());
        if !resting {
            self.retry_at = None;
        }
        let limit = match self.way {
            _ if self.closed || resting => 0,
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
    // ANCHOR_END: step

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The kernel's side, as far as accepting goes: a backlog, a table and a completion
    /// queue. It is as unkind as the rules allow: a cancel takes effect only after the
    /// multishot has had its chance.
    struct Kernel {
        backlog: u32,
        free: u32,
        cq_room: u32,
        multishot: bool,
        singles: u32,
        lost: u32,
        accepted: u32,
        ended: u32,
    }

    impl Kernel {
        fn accept(&mut self) {
            self.backlog -= 1;
            match self.free.checked_sub(1) {
                Some(free) => {
                    self.free = free;
                    self.accepted += 1;
                }
                None => self.lost += 1, // ENFILE: accepted, and dropped
            }
        }

        fn run(&mut self) {
            while self.multishot && self.backlog > 0 {
                self.accept();
                if self.cq_room == 0 {
                    self.multishot = false; // its last completion overflows
                    self.ended += 1;
                }
                self.cq_room = self.cq_room.saturating_sub(1);
            }
            while self.singles > 0 && self.backlog > 0 {
                self.accept();
                self.singles -= 1;
                self.ended += 1;
            }
        }

        fn cancel(&mut self) {
            self.run();
            self.ended += u32::from(std::mem::take(&mut self.multishot));
            self.ended += std::mem::take(&mut self.singles);
        }
    }

    proptest! {
        /// PITFALLS row 4. Whatever comes and goes, nobody is accepted without a slot; and
        /// as long as clients leave, everybody gets in.
        #[test]
        fn nobody_is_lost_and_everybody_gets_in(
            capacity in 1..40u32,
            cq_entries in 1..20u32,
            spare in prop::bool::weighted(0.8),
            turns in prop::collection::vec((0..100u32, 0..10u32), 1..60),
        ) {
            let table = capacity + if spare { Admission::spare(cq_entries) } else { 0 };
            let mut admission = Admission::new(capacity, table, cq_entries);
            let mut kernel = Kernel {
                backlog: 0, free: table, cq_room: cq_entries, multishot: false, singles: 0,
                lost: 0, accepted: 0, ended: 0,
            };
            let (mut came, mut left) = (0, 0);
            // A table of one slot serves one client a turn, and up to 59 times 99 come.
            let settle = std::iter::repeat_n((0, 3), 6000);
            for (coming, leaving) in turns.into_iter().chain(settle) {
                came += coming;
                kernel.backlog += coming;
                let held = kernel.accepted - left;
                let mut cancelled = false;
                loop {
                    match admission.step(held) {
                        Step::ArmMultishot => kernel.multishot = true,
                        Step::ArmSingle => kernel.singles += 1,
                        Step::Cancel => {
                            kernel.cancel();
                            cancelled = true;
                        }
                        Step::Wait => break,
                    }
                    prop_assert!(!kernel.multishot || kernel.singles == 0, "both armed");
                }
                kernel.run();
                // User space reaps: the queue is empty again, and what ended is known.
                kernel.cq_room = cq_entries;
                for _ in 0..std::mem::take(&mut kernel.ended) {
                    admission.accept_ended();
                }
                if cancelled {
                    admission.cancel_ended();
                }
                let leaving = leaving.min(kernel.accepted - left);
                left += leaving;
                kernel.free += leaving;
                prop_assert_eq!(kernel.lost, 0);
            }
            prop_assert_eq!(kernel.accepted, came);
        }
    }

    #[test]
    fn a_closed_admission_only_cancels() {
        let mut admission = Admission::new(4, 4 + Admission::spare(8), 8);
        assert_eq!(admission.step(0), Step::ArmMultishot);
        assert_eq!(admission.step(0), Step::Wait);
        admission.close();
        assert_eq!(admission.step(0), Step::Cancel);
        assert_eq!(admission.step(0), Step::Wait);
        admission.accept_ended();
        admission.cancel_ended();
        assert_eq!(admission.step(0), Step::Wait);
        assert!(!admission.is_armed());
    }

    /// PITFALLS row 5: an accept that fails for want of files must not become a busy loop.
    #[test]
    fn accepting_rests_after_the_system_ran_out() {
        let mut admission = Admission::new(4, 4 + Admission::spare(8), 8);
        assert_eq!(admission.step(0), Step::ArmMultishot);
        admission.accept_ended();
        admission.rest();
        assert_eq!(admission.step(0), Step::Wait);
        std::thread::sleep(admission.rests_for().expect("a rest"));
        assert_eq!(admission.step(0), Step::ArmMultishot);
        assert_eq!(admission.rests_for(), None);
    }

    #[test]
    fn without_spare_slots_clients_are_let_in_one_by_one() {
        let mut admission = Admission::new(2, 2, 8);
        assert_eq!(admission.way(), Way::OneByOne);
        let steps = [admission.step(0), admission.step(0), admission.step(0)];
        assert_eq!(steps, [Step::ArmSingle, Step::ArmSingle, Step::Wait]);
    }
}
