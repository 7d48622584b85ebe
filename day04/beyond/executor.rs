//! An executor for one thread on one ring: it polls futures, and waits for the kernel in between.
//!
//! - [`block_on`] runs a future, and those that it spawns. It has one system call a turn.
//! - What the kernel uses lies in a table here from the submission to the last completion, whatever
//!   happens to the future. So a future can be dropped or forgotten at any time.
//!
//! What it does not do: threads. A waker that another thread calls is seen at the next completion.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use anyhow::{Context as _, Result, bail};
use common::ring::{self, RingOptions};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// The `user_data` of cancels. Their own results are not needed: the operation's result is enough.
const CANCEL: u64 = 0;
/// Numbers of operations and tasks. No number is used twice, so nothing is mistaken for an older
/// one.
static NEXT: AtomicU64 = AtomicU64::new(CANCEL + 1);

thread_local! {
    static DRIVER: RefCell<Option<Driver>> = const { RefCell::new(None) };
}

/// What an operation or a task asks of this thread's driver.
pub fn driver<T>(ask: impl FnOnce(&mut Driver) -> T) -> T {
    with_driver(ask).expect("this is only for futures that `block_on` polls")
}

/// The same where `block_on` may have returned: then there is no driver, and nothing in flight.
pub fn with_driver<T>(ask: impl FnOnce(&mut Driver) -> T) -> Option<T> {
    DRIVER.with_borrow_mut(|driver| driver.as_mut().map(ask))
}

pub fn next_number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

// ANCHOR: driver
pub struct Driver {
    ring: IoUring,
    /// The operations in flight, by their `user_data`.
    pub flights: HashMap<u64, Flight>,
    tasks: HashMap<u64, Pin<Box<dyn Future<Output = ()>>>>,
    /// The tasks to poll.
    ready: Arc<Mutex<VecDeque<u64>>>,
}

/// An operation from its submission to its last completion, whatever happens to its future.
pub struct Flight {
    /// What the kernel uses: the buffer, and the file, so that its number is not used again.
    pub buffer: Box<dyn Any>,
    pub _file: Option<Rc<OwnedFd>>,
    /// What the future has not taken yet. Only a multishot has more than one result.
    pub results: VecDeque<i32>,
    /// The results are descriptors, which must be closed.
    pub opens: bool,
    /// No further completion comes.
    pub ended: bool,
    /// The future is gone.
    pub dropped: bool,
    pub waker: Waker,
}
// ANCHOR_END: driver

impl Flight {
    /// The buffer as its operation knows it.
    pub fn into_buffer<B: 'static>(self) -> B {
        *self.buffer.downcast().expect("the type that went in")
    }
}

// ANCHOR: waker
/// All that a waker does: it puts the task's number into the queue of those to poll.
struct Wakeup {
    task: u64,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.ready.lock().expect("no panic holds it").push_back(self.task);
    }
}
// ANCHOR_END: waker

/// Runs `main` to its end, with the tasks that it spawns.
pub fn block_on<T>(main: impl Future<Output = T>) -> Result<T> {
    let ready = Arc::new(Mutex::new(VecDeque::new()));
    let _end = start(ready.clone())?;
    let mut main = pin!(main);
    let main_task = next_number();
    Wake::wake(Arc::new(Wakeup { task: main_task, ready: ready.clone() }));
    loop {
        while let Some(task) = next_ready(&ready) {
            let waker = Waker::from(Arc::new(Wakeup { task, ready: ready.clone() }));
            let mut context = Context::from_waker(&waker);
            if task == main_task {
                if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                    return Ok(output);
                }
            // Out of the table while it is polled: it may spawn others.
            } else if let Some(mut future) = driver(|driver| driver.tasks.remove(&task)) {
                if future.as_mut().poll(&mut context).is_pending() {
                    driver(|driver| driver.tasks.insert(task, future));
                }
            }
        }
        driver(Driver::turn)?;
    }
}

/// Sets this thread's driver up. It ends when the returned value is dropped.
fn start(ready: Arc<Mutex<VecDeque<u64>>>) -> Result<End> {
    let ring = ring::build_best(&RingOptions::default(), 256)?.0;
    DRIVER.with_borrow_mut(|driver| match driver {
        Some(_) => bail!("block_on was called within block_on: use `spawn` or `.await`"),
        None => {
            *driver = Some(Driver { ring, flights: HashMap::new(), tasks: HashMap::new(), ready });
            Ok(End)
        }
    })
}

fn next_ready(ready: &Mutex<VecDeque<u64>>) -> Option<u64> {
    ready.lock().expect("no panic holds it").pop_front()
}

/// Runs a future beside the others. It is dropped when `block_on` returns.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    let task = next_number();
    driver(|driver| {
        driver.tasks.insert(task, Box::pin(future));
        driver.ready.lock().expect("no panic holds it").push_back(task);
    });
}

impl Driver {
    // ANCHOR: turn
    /// Submits what the futures have pushed, waits for a completion, and wakes.
    fn turn(&mut self) -> Result<()> {
        if self.flights.is_empty() {
            bail!("nothing is in flight and no task is ready, so nothing would ever happen");
        }
        match self.ring.submit_and_wait(1) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => {
                return Err(error).context("io_uring_enter");
            }
            _ => {}
        }
        while let Some(completion) = self.next_completion() {
            let Some(flight) = self.flights.get_mut(&completion.user_data()) else { continue };
            flight.results.push_back(completion.result());
            flight.ended = !cqueue::more(completion.flags());
            if flight.dropped {
                self.abandon(completion.user_data());
            } else {
                flight.waker.wake_by_ref();
            }
        }
        Ok(())
    }
    // ANCHOR_END: turn

    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    // ANCHOR: abandon
    /// The future is gone. What the kernel may still use stays until the last completion.
    pub fn abandon(&mut self, id: u64) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        for result in flight.results.drain(..) {
            if flight.opens && result >= 0 {
                let _ = nix::unistd::close(result); // This descriptor has no other owner.
            }
        }
        if flight.ended {
            self.flights.remove(&id); // Only here is an abandoned buffer freed.
        } else if !flight.dropped {
            flight.dropped = true;
            self.cancel(id);
        }
    }
    // ANCHOR_END: abandon

    /// Asks the kernel to end an operation. It has not ended before its own completion.
    pub fn cancel(&mut self, id: u64) {
        // If there is no room for the cancel, the operation ends by itself.
        let _ = self.push(&opcode::AsyncCancel::new(id).build().user_data(CANCEL));
    }

    pub fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: an entry points into the buffer of its flight, if anywhere. The flight stays in
        // the table until the last completion, and no other code can reach it there.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }
}

/// Ends the driver, on return and on panic.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        drop(driver(|driver| std::mem::take(&mut driver.tasks))); // This cancels what they wait for.
        let mut ended = DRIVER.take().expect("started");
        let ids: Vec<u64> = ended.flights.keys().copied().collect();
        ids.into_iter().for_each(|id| ended.abandon(id));
        while !ended.flights.is_empty() {
            if ended.turn().is_err() {
                return std::mem::forget(ended); // No proof that the kernel is done.
            }
        }
    }
}
