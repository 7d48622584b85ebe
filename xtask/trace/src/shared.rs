//! What the thread that stops the program shares with the one that looks at its rings in between.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::sys;
use super::watch::Watch;

/// How long a state that nothing can end has to last: long enough for the trace to have seen
/// everything on a busy machine.
pub const CERTAIN: Duration = Duration::from_millis(1200);

/// The watch, shared with the thread that looks in between, and the condition that wakes it.
#[derive(Debug)]
pub struct Shared {
    watch: Mutex<Watch>,
    /// Signalled when there is a first ring to look at, or an enter to report, and at the end.
    bell: Condvar,
    /// The tracer must let go of the program that it joined.
    leave: AtomicBool,
    /// The thread that traces, if it waits for [`Shared::tick`].
    tracer: AtomicI32,
    /// Whether it waits now.
    ticks: AtomicBool,
}

impl Shared {
    /// Shares a watch.
    pub fn new(watch: Watch) -> Shared {
        Shared {
            watch: Mutex::new(watch),
            bell: Condvar::new(),
            leave: AtomicBool::new(false),
            tracer: AtomicI32::new(0),
            ticks: AtomicBool::new(false),
        }
    }

    /// There may be a ring to look at, or an enter to report: wakes the other thread.
    pub fn wake(&self) {
        self.bell.notify_all();
    }

    /// Lets go of the program that was joined.
    pub fn leave(&self) {
        let watch = self.lock();
        self.leave.store(true, Ordering::Relaxed);
        drop(watch);
        self.wake();
    }

    /// Whether the tracer must let go of the program.
    pub fn leaving(&self) -> bool {
        self.leave.load(Ordering::Relaxed)
    }

    /// The calling thread traces; [`Shared::tick`] ends its waits.
    pub fn trace_here(&self) {
        self.tracer.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
    }

    /// Says whether the tracer has something to do beside stops.
    pub fn needs_ticks(&self, needs: bool) {
        self.ticks.store(needs, Ordering::Relaxed);
    }

    fn ticking(&self) -> bool {
        self.leaving() || self.ticks.load(Ordering::Relaxed)
    }

    /// Ends the tracer's wait for a stop, if it has other work.
    fn tick(&self) {
        if self.ticking() {
            sys::wake(self.tracer.load(Ordering::Relaxed));
        }
    }

    /// The trace is over: wakes the other thread, so that it ends too.
    pub fn end(&self) {
        self.lock().end();
        self.wake();
    }

    /// The watch; a thread that panicked leaves it usable.
    pub fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Looks at the rings while the program runs: it reports an enter while that sleeps, and reads
    /// polled rings before their queues wrap.
    pub fn look_in_between(&self) {
        const OFTEN: Duration = Duration::from_micros(50);
        const SOON: Duration = Duration::from_millis(1);
        const SELDOM: Duration = Duration::from_millis(10);
        let mut still = 0_u32;
        let mut asked = Instant::now();
        let mut watch = self.lock();
        while !watch.over() {
            if watch.idle() && !self.ticking() {
                still = 0;
                watch = self.bell.wait(watch).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            }
            still = if watch.look_at_all() { 0 } else { still.saturating_add(1) };
            if still == 0 {
                asked = Instant::now();
            } else if asked.elapsed() >= CERTAIN {
                watch.still();
                asked = Instant::now();
            }
            let pause = match watch.hurry() {
                (true, _) if still < 200 => OFTEN,
                (_, true) => SOON,
                _ if still < 20 => SOON,
                _ => SELDOM,
            };
            drop(watch);
            self.tick();
            thread::sleep(pause);
            watch = self.lock();
        }
    }
}
