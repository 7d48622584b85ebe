//! How many requests one wait gathers.

use std::time::Duration;

/// How long a wait gathers before a single completion ends it (`min_wait_usec`, Linux 6.12).
/// Only a wait that expects several requests gathers; it is wrong seldom, for then it expects
/// half as many.
pub const GATHER: Duration = Duration::from_micros(50);

/// The number of requests that the next wait expects.
///
/// Clients under load send while others are being answered. A wait that ends at the first of
/// them answers one or two at a time; one that waits for several answers them all in one
/// call. How many those are, the waits themselves tell: if more came than were asked for,
/// the next asks for one more; if fewer came, time ran out, and it asks for half.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    size: u32,
}

impl Batch {
    /// One request at a time, until more come.
    pub fn new() -> Batch {
        Batch { size: 1 }
    }

    pub fn size(self) -> u32 {
        self.size
    }

    // ANCHOR: learn
    /// Learns from a wait: `asked` completions were wanted, `came` were there.
    ///
    /// It never gathers more than half of the clients: while one half is being answered, the
    /// other can send.
    pub fn learn(&mut self, asked: u32, came: u32, clients: u32) {
        let most = (clients / 2).max(1);
        self.size = match came.cmp(&asked) {
            std::cmp::Ordering::Greater => (self.size + 1).min(most),
            std::cmp::Ordering::Equal => self.size.min(most),
            std::cmp::Ordering::Less => (self.size / 2).max(1),
        };
    }
    // ANCHOR_END: learn
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a batch grows to when `ready` requests are there at each wait.
    fn settled(ready: u32, clients: u32) -> u32 {
        let mut batch = Batch::new();
        for _ in 0..1000 {
            batch.learn(batch.size(), ready, clients);
        }
        batch.size()
    }

    #[test]
    fn one_client_is_never_kept_waiting() {
        assert_eq!(settled(1, 1), 1);
        assert_eq!(settled(1, 1000), 1, "one among idle ones");
    }

    #[test]
    fn it_grows_to_what_comes_and_to_half_of_the_clients() {
        assert_eq!(settled(8, 32), 8);
        assert_eq!(settled(32, 32), 16);
    }

    #[test]
    fn when_the_clients_leave_it_shrinks_at_once() {
        let mut batch = Batch::new();
        (0..100).for_each(|_| batch.learn(batch.size(), 64, 64));
        assert_eq!(batch.size(), 32);
        batch.learn(32, 64, 3);
        assert_eq!(batch.size(), 1);
    }

    #[test]
    fn a_wait_in_vain_halves_it() {
        let mut batch = Batch::new();
        (0..100).for_each(|_| batch.learn(batch.size(), 64, 64));
        let mut waits = 0;
        while batch.size() > 1 {
            batch.learn(batch.size(), 1, 64);
            waits += 1;
        }
        assert_eq!(waits, 5);
    }
}
