//! The rings as they are at this moment.

use super::Watch;
use crate::ring::RingNow;
use crate::ring_descriptors::RingId;

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
