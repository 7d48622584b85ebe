//! The state of a ring, to find out why a program does not go on.

use crate::event;
use crate::ring_descriptors::RingId;
use crate::summary::Armed;

/// A ring at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct RingNow {
    /// Its number.
    pub ring: RingId,
    /// A kernel thread polls it for entries.
    pub polled: bool,
    /// Entries that the program published and the kernel has not taken.
    pub pushed: u32,
    /// Completions that the kernel posted and the program has not reaped.
    pub unreaped: u32,
    /// Entries that were taken and not fully answered, oldest first.
    pub in_flight: Vec<Armed>,
    /// There are entries that may be done: they answer only if they fail
    /// (`IOSQE_CQE_SKIP_SUCCESS`), or their answer went by unseen.
    pub silent: bool,
    /// Those of them that may still wait.
    pub may_wait: Vec<Armed>,
    /// The enters that have not returned.
    pub inside: Vec<event::Enter>,
}
