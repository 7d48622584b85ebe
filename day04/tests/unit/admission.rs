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
