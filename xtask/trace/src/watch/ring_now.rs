//! The rings as they are at this moment, to find out why a program does not go on.

use super::Watch;
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

impl Watch {
    /// All rings that are followed.
    pub fn now_all(&mut self) -> Vec<RingNow> {
        let ids = self.followed();
        for id in &ids {
            self.look_unless_waiting(0, *id);
        }
        self.flush();
        ids.into_iter().filter_map(|id| self.now_of(id)).collect()
    }

    fn now_of(&self, id: RingId) -> Option<RingNow> {
        let followed = self.rings.get(&id)?;
        let inside = self.inside.values().filter(|inside| inside.ring == Some(id));
        let in_flight = &followed.in_flight;
        Some(RingNow {
            ring: id,
            polled: followed.ring.polled(),
            pushed: followed.ring.waiting_entries(),
            unreaped: followed.ring.unreaped(),
            in_flight: in_flight.armed().iter().map(|flight| self.armed(id, flight)).collect(),
            silent: in_flight.any_unknown(),
            may_wait: in_flight.may_wait().iter().map(|flight| self.armed(id, flight)).collect(),
            inside: inside.map(|inside| inside.event.clone()).collect(),
        })
    }
}
