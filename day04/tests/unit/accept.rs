//! Letting clients in, against a model of an unkind kernel.

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
    armed: bool,
    lost: u32,
    accepted: u32,
}

impl Kernel {
    fn run(&mut self) {
        while self.armed && self.backlog > 0 {
            self.backlog -= 1;
            match self.free.checked_sub(1) {
                Some(free) => {
                    self.free = free;
                    self.accepted += 1;
                }
                None => self.lost += 1, // ENFILE: accepted, and dropped
            }
            // The last completion of a multishot overflows.
            self.armed = self.multishot && self.cq_room > 0;
            self.cq_room = self.cq_room.saturating_sub(1);
        }
    }
}

proptest! {
    /// Pitfall 4 of the book. Whatever comes and goes, no client is accepted without a slot; and
    /// as long as clients leave, every client is accepted.
    #[test]
    fn nobody_is_lost_and_everybody_gets_in(
        capacity in 1..40u32,
        cq_entries in 1..20u32,
        multishot in prop::bool::weighted(0.8),
        turns in prop::collection::vec((0..100u32, 0..10u32), 1..60),
    ) {
        let table = capacity + if multishot { spare_slots(cq_entries) } else { 0 };
        let (mut accept, now) = (Accept::Idle, Instant::now());
        let mut kernel = Kernel {
            backlog: 0, free: table, cq_room: cq_entries, multishot, armed: false,
            lost: 0, accepted: 0,
        };
        let (mut came, mut left) = (0, 0);
        // A table of one slot serves one client a turn, and up to 59 × 99 clients come.
        let settle = std::iter::repeat_n((0, 3), 6000);
        for (coming, leaving) in turns.into_iter().chain(settle) {
            came += coming;
            kernel.backlog += coming;
            match accept.next(kernel.accepted - left < capacity, now) {
                Some(Act::Arm) => {
                    prop_assert!(!kernel.armed, "armed twice");
                    kernel.armed = true;
                }
                Some(Act::Cancel) => {
                    kernel.run();
                    kernel.armed = false;
                }
                None => {}
            }
            kernel.run();
            // User space reaps: the queue is empty again, and what ended is known.
            kernel.cq_room = cq_entries;
            if accept.is_in_flight() && !kernel.armed {
                accept = Accept::Idle;
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
fn without_room_it_only_cancels() {
    let (mut accept, now) = (Accept::Idle, Instant::now());
    assert_eq!(accept.next(true, now), Some(Act::Arm));
    assert_eq!(accept.next(true, now), None);
    assert_eq!(accept.next(false, now), Some(Act::Cancel));
    assert_eq!(accept.next(false, now), None);
    assert_eq!(accept.next(true, now), None, "its end has not come");
    assert!(accept.is_in_flight());
    accept = Accept::Idle;
    assert_eq!(accept.next(false, now), None);
}

/// Pitfall 5 of the book: an accept that fails because files ran out must not become a busy loop.
#[test]
fn accepting_rests_after_the_system_ran_out() {
    let now = Instant::now();
    let mut accept = Accept::Resting { until: now + REST };
    assert_eq!(accept.next(true, now), None);
    assert!(!accept.is_in_flight());
    assert_eq!(accept.next(true, now + REST), Some(Act::Arm));
}
