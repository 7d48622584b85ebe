//! One deadline for many connections: all wait equally long, so whoever was quiet longest
//! is due first, and the loop needs only that one time for its wait.

use std::time::{Duration, Instant};

/// Connections in the order in which they fall due; every operation takes constant time
/// and no memory.
#[derive(Debug)]
pub struct Deadlines {
    after: Duration,
    /// A ring of slots; its last entry is the anchor, which belongs to no slot.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    earlier: u32,
    later: u32,
    due: Instant,
}

impl Deadlines {
    /// For slots below `slots`, each of which falls due `after` its last [`Deadlines::touch`].
    pub fn new(slots: u32, after: Duration) -> Deadlines {
        let due = Instant::now();
        let links = (0..=slots).map(|own| Link { earlier: own, later: own, due }).collect();
        Deadlines { after, links }
    }

    /// Something happened on `slot` just `now`: it falls due later than all others.
    pub fn touch(&mut self, slot: u32, now: Instant) {
        self.remove(slot);
        let anchor = self.anchor();
        let latest = self.link(anchor).earlier;
        *self.link(slot) = Link { earlier: latest, later: anchor, due: now + self.after };
        self.link(latest).later = slot;
        self.link(anchor).earlier = slot;
    }

    /// `slot` has no deadline any more; nothing happens if it had none.
    pub fn remove(&mut self, slot: u32) {
        let Link { earlier, later, .. } = *self.link(slot);
        self.link(earlier).later = later;
        self.link(later).earlier = earlier;
        self.link(slot).earlier = slot;
        self.link(slot).later = slot;
    }

    /// The slot that falls due next, and when.
    pub fn first(&self) -> Option<(u32, Instant)> {
        let anchor = self.anchor();
        let slot = self.links[anchor as usize].later;
        (slot != anchor).then(|| (slot, self.links[slot as usize].due))
    }

    /// A slot whose time is up, which has no deadline from here on.
    pub fn expired(&mut self, now: Instant) -> Option<u32> {
        let (slot, due) = self.first()?;
        (due <= now).then(|| {
            self.remove(slot);
            slot
        })
    }

    fn anchor(&self) -> u32 {
        self.links.len() as u32 - 1
    }

    fn link(&mut self, slot: u32) -> &mut Link {
        &mut self.links[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_quiet_longest_is_due_first() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut deadlines = Deadlines::new(4, 10 * second);
        deadlines.touch(0, start);
        deadlines.touch(1, start + second);
        deadlines.touch(2, start + 2 * second);
        deadlines.touch(0, start + 3 * second);
        deadlines.remove(2);
        deadlines.remove(3);
        assert_eq!(deadlines.first(), Some((1, start + 11 * second)));
        assert_eq!(deadlines.expired(start + 10 * second), None);
        assert_eq!(deadlines.expired(start + 11 * second), Some(1));
        assert_eq!(deadlines.expired(start + 30 * second), Some(0));
        assert_eq!(deadlines.expired(start + 30 * second), None);
        assert_eq!(deadlines.first(), None);
    }
}
