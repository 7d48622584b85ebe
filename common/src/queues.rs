//! Both queues of a ring in use: pushing, submitting, waiting and reaping, with the handling that a
//! full queue, an interrupted wait or a sleeping poller needs.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue, squeue};

use crate::environment;

/// A ring's submitter and queues, and how often they called the kernel.
///
/// There is one submitter for the whole life of the ring: `ring.submit()` would make a new one each
/// time, which does not know a registered ring descriptor. That descriptor is registered for one
/// thread, so the queues stay on it:
///
/// ```compile_fail,E0277
/// fn move_to_another_thread(queues: impl Send) {}
/// let mut ring = io_uring::IoUring::new(8).unwrap();
/// move_to_another_thread(common::queues::Queues::new(&mut ring));
/// ```
pub struct Queues<'ring> {
    submitter: Submitter<'ring>,
    sq: SubmissionQueue<'ring>,
    cq: CompletionQueue<'ring>,
    /// Completions that were taken early, because the kernel would not submit more before that.
    early: VecDeque<cqueue::Entry>,
    sqpoll: bool,
    enters: u64,
}

impl<'ring> Queues<'ring> {
    /// Takes the queues of a ring apart.
    pub fn new(ring: &'ring mut IoUring) -> Queues<'ring> {
        let sqpoll = ring.params().is_setup_sqpoll();
        let early = VecDeque::with_capacity(ring.params().cq_entries() as usize);
        let (submitter, sq, cq) = ring.split();
        Queues { submitter, sq, cq, early, sqpoll, enters: 0 }
    }

    /// Calls of `io_uring_enter(2)` so far. Exact, polled or not: every one of them is made
    /// in this file.
    pub fn enters(&self) -> u64 {
        self.enters
    }

    /// Registers the ring's own descriptor (Linux 5.18), so that every enter from here on passes an
    /// index instead. An older kernel changes nothing, and the answer is `false`. It is undone on
    /// drop.
    pub fn register_ring_fd(&mut self) -> bool {
        self.submitter.register_ring_fd().is_ok()
    }

    // ANCHOR: push
    /// Queues an entry. If the queue is full, its entries are submitted first: none is ever
    /// dropped.
    ///
    /// # Safety
    /// The memory that the entry points at must stay valid until the operation has ended. Until
    /// then the program must not change what the kernel reads, and may read what it writes only as
    /// atomics. Only the last completion says that the operation has ended; the end of the ring
    /// does not ([`crate::memory`]). An entry that skips its completion has ended when a later one
    /// of its chain completes.
    ///
    /// Memory that the entry keeps for later operations (`IORING_OP_PROVIDE_BUFFERS`) must
    /// stay valid until those have ended. A descriptor that the entry closes must be the
    /// caller's to close.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: passed on to our caller.
        while unsafe { self.sq.push(entry) }.is_err() {
            self.submit_full_queue()?;
        }
        Ok(())
    }

    /// Makes room for a chain of `entries`: a link ends where a submit ends, so a chain must go in
    /// whole. `false` if the queue is too small for it.
    pub fn room_for(&mut self, entries: usize) -> io::Result<bool> {
        if entries > self.sq.capacity() {
            return Ok(false);
        }
        while self.sq.capacity() - self.sq.len() < entries {
            self.submit_full_queue()?;
        }
        Ok(true)
    }
    // ANCHOR_END: push

    fn submit_full_queue(&mut self) -> io::Result<()> {
        self.sq.sync();
        let mut flags = EnterFlags::empty();
        if self.sqpoll {
            // The poller submits: wake it if it sleeps, and wait for room.
            flags |= EnterFlags::SQ_WAIT;
            if self.sq.need_wakeup() {
                flags |= EnterFlags::SQ_WAKEUP;
            }
        }
        let queued = self.sq.len() as u32;
        self.enters += 1;
        // SAFETY: no argument structure, so the kernel reads no memory but the queues.
        let entered =
            unsafe { self.submitter.enter::<libc::sigset_t>(queued, 0, flags.bits(), None) };
        self.sq.sync();
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => Ok(()),
                // Too many completions are outstanding, or there is no memory for more operations
                // until some end. Make room for completions, and let the kernel post more.
                Some(libc::EBUSY | libc::EAGAIN) => {
                    self.early.extend(&mut self.cq);
                    self.wait(1, Some(Duration::from_millis(1)), Duration::ZERO)
                }
                _ => Err(refused(&error)),
            },
        }
    }

    /// The one system call of a turn: submits everything that is queued and waits until
    /// `want` completions are there, or `timeout` is over.
    ///
    /// Returns without a completion after a timeout, and when a signal interrupts the wait:
    /// the caller goes round its loop once more.
    pub fn submit_and_wait(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        self.submit_and_gather(want, Duration::ZERO, timeout)
    }

    /// Like [`Queues::submit_and_wait`], but waits at most `min_wait` for `want` completions, and
    /// after that for one. If one is there already, the wait ends then.
    ///
    /// Ask the ring first whether its kernel can do it
    /// (`ring.params().is_feature_min_timeout()`, Linux 6.12): an older one ignores
    /// `min_wait`, or refuses it with EINVAL. Source: `io_uring_enter(2)`, `min_wait_usec`.
    pub fn submit_and_gather(
        &mut self,
        want: u32,
        min_wait: Duration,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        /// Without a timeout the kernel would take the end of `min_wait` for the end of the wait,
        /// and return without a completion (`io_cqring_min_timer_wakeup` in its `io_uring.c`).
        const LONG: Duration = Duration::from_secs(3600);
        // ANCHOR: wait_sync
        // The queues hold copies of tail and head. Unless they are synchronised, the kernel
        // sees neither what was pushed nor what was taken, and the wait ends at once.
        self.sq.sync();
        self.cq.sync();
        let nothing_to_submit = self.sq.is_empty() || (self.sqpoll && !self.sq.need_wakeup());
        let enough = self.early.len() + self.cq.len() >= want as usize;
        if nothing_to_submit && enough && !self.sq.cq_overflow() {
            return Ok(());
        }
        // ANCHOR_END: wait_sync
        let timeout = if min_wait.is_zero() { timeout } else { timeout.or(Some(LONG)) };
        self.wait(want, timeout, min_wait)
    }

    /// Whether a completion is there. It looks at memory, makes no system call and submits nothing.
    /// A ring with DEFER_TASKRUN delivers only in the wait, so there this never sees a new one.
    pub fn has_completion(&mut self) -> bool {
        self.cq.sync();
        !self.early.is_empty() || !self.cq.is_empty()
    }

    fn wait(&mut self, want: u32, timeout: Option<Duration>, min_wait: Duration) -> io::Result<()> {
        let want = (want as usize).saturating_sub(self.early.len());
        self.enters += 1;
        let time = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(time) = &time {
            args = args.timespec(time);
        }
        let waited = if !min_wait.is_zero() {
            let min_wait = u32::try_from(min_wait.as_micros()).unwrap_or(u32::MAX);
            self.submitter.submit_with_args(want, &args.min_wait_usec(min_wait))
        } else if timeout.is_some() {
            self.submitter.submit_with_args(want, &args)
        } else {
            self.submitter.submit_and_wait(want)
        };
        self.sq.sync();
        self.cq.sync();
        match waited {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // The time is up; or a signal came, or a stop and continue of the process; or more
                // completions wait in the kernel than the queue holds. In each case: reap, and come
                // back.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(refused(&error)),
            },
        }
    }

    /// The next completion, oldest first; `None` when those of the last wait are used up.
    pub fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.early.pop_front().or_else(|| self.cq.next())
    }
}

/// A registered descriptor keeps the ring open until the thread ends: its accepts go on, and its
/// clients get no end-of-file. A thread has room for 16 of them.
impl Drop for Queues<'_> {
    fn drop(&mut self) {
        // It fails if none is registered.
        let _ = self.submitter.unregister_ring_fd();
    }
}

/// An enter that failed for good, with cause and remedy: for example a filter that allows a ring to
/// be set up but not to be used.
fn refused(error: &io::Error) -> io::Error {
    io::Error::other(environment::explain("io_uring_enter", error))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use io_uring::opcode;
    use io_uring::types::Fd;

    use super::*;
    use crate::ring::{RingOptions, SetupFlags, build};
    use testkit::{PATIENCE, io_uring_or_skip, skipped};

    fn push_nop(queues: &mut Queues<'_>) {
        // SAFETY: a NOP points at no memory.
        unsafe { queues.push(&opcode::Nop::new().build()) }.unwrap();
    }

    #[test]
    fn a_completion_is_seen_without_a_call() {
        if !io_uring_or_skip("a_completion_is_seen_without_a_call") {
            return;
        }
        let mut ring = build(&RingOptions::default(), 8, SetupFlags::default()).unwrap();
        let mut queues = Queues::new(&mut ring);
        assert!(!queues.has_completion());
        push_nop(&mut queues);
        queues.submit_and_wait(0, None).unwrap();
        assert!(queues.has_completion());
        assert!(queues.next_completion().is_some());
        assert!(!queues.has_completion());
        assert_eq!(queues.enters(), 1);
    }

    #[test]
    fn gathering_ends_with_what_is_there_but_never_with_nothing() {
        const NAME: &str = "gathering_ends_with_what_is_there_but_never_with_nothing";
        if !io_uring_or_skip(NAME) {
            return;
        }
        let mut ring = build(&RingOptions::default(), 8, SetupFlags::default()).unwrap();
        if !ring.params().is_feature_min_timeout() {
            skipped(NAME, "min-wait came with Linux 6.12");
            return;
        }
        let mut queues = Queues::new(&mut ring);
        let (short, long) = (Duration::from_millis(1), Duration::from_millis(100));
        push_nop(&mut queues);
        queues.submit_and_gather(8, short, None).unwrap();
        assert!(queues.next_completion().is_some(), "one of eight, after the min-wait");
        let start = Instant::now();
        queues.submit_and_gather(8, short, Some(long)).unwrap();
        assert!(queues.next_completion().is_none());
        assert!(start.elapsed() >= long, "nothing came, and the wait ended with the min-wait");
    }

    #[test]
    fn a_registered_descriptor_ends_with_the_queues() {
        const NAME: &str = "a_registered_descriptor_ends_with_the_queues";
        if !io_uring_or_skip(NAME) {
            return;
        }
        let mut ring = build(&RingOptions::default(), 8, SetupFlags::default()).unwrap();
        if !Queues::new(&mut ring).register_ring_fd() {
            skipped(NAME, "a ring's descriptor can be registered since Linux 5.18");
            return;
        }
        // A thread has room for 16.
        for nth in 1..=17 {
            assert!(Queues::new(&mut ring).register_ring_fd(), "{nth}");
        }
    }

    #[test]
    fn nothing_keeps_a_ring_open_after_its_queues() {
        if !io_uring_or_skip("nothing_keeps_a_ring_open_after_its_queues") {
            return;
        }
        let (mut client, server) = UnixStream::pair().unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut ring = build(&RingOptions::default(), 8, SetupFlags::default()).unwrap();
        let mut queues = Queues::new(&mut ring);
        queues.register_ring_fd();
        let poll = opcode::PollAdd::new(Fd(server.as_raw_fd()), libc::POLLIN as u32).build();
        // SAFETY: a poll points at no memory; the kernel holds the socket itself.
        unsafe { queues.push(&poll) }.unwrap();
        queues.submit_and_wait(0, None).unwrap();
        drop(server);
        drop(queues);
        drop(ring);
        // Unlike `read`, this goes on after EINTR: the end of the ring interrupts us.
        client.read_to_end(&mut Vec::new()).expect("an end of file");
    }
}
