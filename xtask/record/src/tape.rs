//! The tape of a scenario: the tracer's events, and between them what its clients did.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringtrace::event::{Enter, Event, What};
use ringtrace::player::captions::is_short;
use ringtrace::player::steps::Item;
use ringtrace::watch::Sink;

/// Events and notes in the order in which they came.
#[derive(Debug, Default)]
pub struct Tape {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    /// Stop the program when it has its ring.
    hold: bool,
    held: bool,
}

/// How long the program must do nothing to count as asleep.
const STILL: Duration = Duration::from_millis(40);

impl Tape {
    /// An empty tape. With `hold`, the program is stopped once it has its ring, until
    /// [`Tape::release`].
    pub fn new(hold: bool) -> Arc<Tape> {
        let tape = Tape::default();
        tape.lock().hold = hold;
        Arc::new(tape)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what a client is about to do.
    pub fn note(&self, words: impl Into<String>) {
        self.lock().items.push(Item::Note(words.into()));
    }

    /// What is on it.
    pub fn items(&self) -> Vec<Item> {
        self.lock().items.clone()
    }

    /// Lets the program go on.
    pub fn release(&self) {
        self.lock().hold = false;
        self.bell.notify_all();
    }

    /// Waits until the program is stopped; returns whether it is, in time.
    pub fn is_held(&self, patience: Duration) -> bool {
        self.wait(patience, |state| state.held)
    }

    /// Waits until the program sleeps in an enter, with nothing left to do. Returns whether it does
    /// so in time.
    pub fn falls_asleep(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.wait(left, |state| asleep(&state.items)) {
                return false;
            }
            let before = self.lock().items.len();
            std::thread::sleep(STILL);
            let state = self.lock();
            if state.items.len() == before && asleep(&state.items) {
                return true;
            }
        }
    }

    fn wait(&self, patience: Duration, enough: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while !enough(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.bell.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Whether the last enter has not returned, began after the last note, and waits for clients.
fn asleep(items: &[Item]) -> bool {
    for item in items.iter().rev() {
        match item {
            Item::Note(_) | Item::Event(What::Return(_)) => return false,
            Item::Event(What::Enter(enter)) => return waits_for_clients(enter),
            Item::Event(_) => {}
        }
    }
    false
}

fn waits_for_clients(enter: &Enter) -> bool {
    enter.min_complete > 0 && !is_short(enter)
}

/// The end of a tape that the tracer writes on.
pub struct Writer(pub Arc<Tape>);

impl Sink for Writer {
    /// Called while the program is stopped, which stays stopped as long as this waits.
    fn take(&mut self, events: &[Event]) {
        let tape = &self.0;
        let mut state = tape.lock();
        state.items.extend(events.iter().map(|event| Item::Event(event.what.clone())));
        let has_its_ring = |event: &Event| matches!(event.what, What::Setup(_));
        state.held |= state.hold && events.iter().any(has_its_ring);
        tape.bell.notify_all();
        while state.held && state.hold {
            state = tape.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
