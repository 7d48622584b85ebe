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
#[path = "../tests/unit/admission.rs"]
mod tests;
