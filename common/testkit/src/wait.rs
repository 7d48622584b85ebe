//! Waiting for what should happen soon, and never for ever.

use std::time::{Duration, Instant};

/// How long any wait here lasts before it gives up. Only a failure takes that long, so it is
/// generous: the machine may be busy, or emulated.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often to look at a condition while waiting for it.
pub(crate) const POLL: Duration = Duration::from_millis(2);

/// Waits until `condition` holds.
///
/// # Panics
/// With `what` in the message, if it does not hold within [`PATIENCE`].
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        holds_within(PATIENCE, condition),
        "waited {} s, and it did not happen: {what}",
        PATIENCE.as_secs()
    );
}

/// Asks repeatedly; `false` if the condition does not hold within `patience`.
pub fn holds_within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_asks_again_until_the_condition_holds() {
        let mut asked = 0;
        wait_until("the third time", || {
            asked += 1;
            asked == 3
        });
        assert_eq!(asked, 3);
    }
}
