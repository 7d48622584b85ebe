//! Joining a program that runs, and letting go of it.
//!
//! A thread has to stop once before its system calls stop it, and a stop interrupts its sleep. So a
//! thread that sleeps in an enter is left asleep until it wakes up by itself; and if a stop does
//! interrupt a wait, the kernel is made to begin it again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::environment::Refusal;
use libc::pid_t;

use super::signals::{self, Awaited};
use super::{Begun, Descriptors, Task, Tracer};
use crate::attach;
use crate::event::{self, What};
use crate::ring_descriptors::{RingId, TableId};
use crate::shared::Shared;
use crate::sys::{self, Status};
use crate::syscalls::{self, ANSWERS_AT_A_SIGNAL, Call, Kind};
use crate::threads;

/// A seized thread that has not stopped yet.
#[derive(Debug)]
pub(super) enum Joining {
    /// It was asked to stop.
    Asked,
    /// It has slept in an enter since before the tracer joined; how often it had left its CPU.
    Asleep(u64),
}

/// An enter that was cut short not by the program, and that begins again.
#[derive(Debug)]
pub(super) struct Again {
    call: Call,
    /// What was known of it, if the tracer saw it begin.
    pub(super) begun: Option<Begun>,
    /// The entries that it had submitted when it was cut short: its result.
    pub(super) submitted: u64,
}

impl Tracer {
    /// Joins a process with all its threads and rings.
    ///
    /// # Errors
    /// A [`Refusal`] that names the rule that forbids it.
    pub fn join(shared: Arc<Shared>, process: pid_t) -> Result<Tracer, Refusal> {
        sys::heed_wakes();
        shared.trace_here();
        let threads = attach::seize(process)?;
        let mut descriptors = Descriptors::default();
        let table = descriptors.new_table();
        let task = || Task { process, table, call: None, leaving: false, again: None };
        let mut tracer = Tracer {
            shared,
            root: process,
            tasks: threads.iter().map(|tid| (*tid, task())).collect(),
            descriptors,
            early: Default::default(),
            became_the_program: true,
            status: None,
            fast: false,
            denied: None,
            joined: true,
            joining: HashMap::new(),
            enterers: HashMap::new(),
            not_followed: Vec::new(),
            searched: false,
        };
        let program = std::fs::read_link(format!("/proc/{process}/exe"))
            .map_or_else(|_| "?".to_string(), |path| path.display().to_string());
        let attach = event::Attach { pid: process, program, threads: threads.len() as u32 };
        tracer.shared.lock().tell(process, What::Attach(attach));
        let enters: Vec<_> = threads.iter().map(|tid| (*tid, tracer.ask_to_stop(*tid))).collect();
        let stops = tracer.first_stops();
        tracer.find_rings(table);
        for (tid, enter) in enters {
            if let Some((call, stack)) = enter {
                tracer.sleeps(tid, table, call, stack);
            }
        }
        for (tid, stop) in stops {
            tracer.stopped(tid, stop);
        }
        tracer.shared.lock().flush();
        tracer.shared.wake();
        Ok(tracer)
    }

    /// Follows the rings of the process that are not followed yet.
    fn find_rings(&mut self, table: TableId) {
        let mut known = self.descriptors.rings_in(table);
        known.extend(&self.not_followed);
        for found in attach::found(self.root, &known) {
            let fds = found.fds.clone();
            match self.shared.lock().found(self.root, found.fds, &found.info, found.ring) {
                Some(ring) => fds.iter().for_each(|fd| self.descriptors.add(table, *fd, ring)),
                None => self.not_followed.extend(fds),
            }
        }
    }

    /// The ring behind an index that was registered before: the one that has as many entries to
    /// submit, or the only one.
    pub(super) fn ring_of_unknown_index(&mut self, tid: pid_t, call: &Call) -> Option<RingId> {
        if !self.joined {
            return None;
        }
        let process = self.tasks.get(&tid)?.process;
        let to_submit = call.args[1] as u32;
        let mut candidates = self.shared.lock().with_entries(process, to_submit);
        if candidates.is_empty() && !std::mem::replace(&mut self.searched, true) {
            let known = self.shared.lock().own_memory(process);
            for (info, ring) in attach::without_descriptor(process, &known) {
                self.shared.lock().found(process, Vec::new(), &info, ring);
            }
            candidates = self.shared.lock().with_entries(process, to_submit);
        }
        let [ring] = candidates[..] else { return None };
        if to_submit > 0 {
            self.descriptors.add_index(tid, call.args[0] as u32, ring);
        }
        Some(ring)
    }

    /// Asks a thread to stop, unless it sleeps in an enter: then returns what is known of that.
    fn ask_to_stop(&mut self, tid: pid_t) -> Option<(Call, u64)> {
        let switches = threads::switches(tid);
        let (number, args, stack) = threads::call_of(tid).unwrap_or_default();
        let call = Call { number, args, native: true };
        if syscalls::kind(&call) == Kind::Enter {
            self.joining.insert(tid, Joining::Asleep(switches));
            return Some((call, stack));
        }
        self.joining.insert(tid, Joining::Asked);
        // It may have ended.
        let _ = sys::interrupt(tid);
        None
    }

    /// Stops the threads for the first time, so that the rings are found while no thread uses them.
    /// A thread that does not stop soon, for example because it waits for a disk, stops later.
    fn first_stops(&self) -> Vec<(pid_t, Status)> {
        const SOON: Duration = Duration::from_millis(100);
        const PAUSE: Duration = Duration::from_micros(50);
        let asked = self.joining.values().filter(|it| matches!(it, Joining::Asked)).count();
        let mut stops = Vec::new();
        let end = Instant::now() + SOON;
        while stops.len() < asked && Instant::now() < end {
            match sys::any_stopped() {
                Ok(Some(stop)) => stops.push(stop),
                Ok(None) => std::thread::sleep(PAUSE),
                Err(_) => break,
            }
        }
        stops
    }

    /// A thread has slept in an enter since before the tracer joined.
    fn sleeps(&mut self, tid: pid_t, table: TableId, mut call: Call, stack: u64) {
        let ring = self.ring_of_enter(tid, table, &call);
        // Its entries are taken already.
        call.args[1] = 0;
        self.shared.lock().entering(tid, ring, &call.args, stack);
        self.shared.needs_ticks(true);
    }

    /// Called from time to time: stops threads that woke up.
    pub(super) fn tick(&mut self) {
        let mut asleep = false;
        for (tid, joining) in &mut self.joining {
            let Joining::Asleep(switches) = joining else { continue };
            if threads::switches(*tid) == *switches {
                asleep = true;
            } else {
                *joining = Joining::Asked;
                let _ = sys::interrupt(*tid);
            }
        }
        self.shared.needs_ticks(asleep);
    }

    /// The first stop of a thread that was joined.
    pub(super) fn has_joined(&mut self, tid: pid_t) {
        self.joining.remove(&tid);
        self.shared.lock().woke(tid);
        if let Some((call, result)) = syscalls::returning(tid) {
            // The program's own signal may have ended a wait at the same time.
            match self.cut_short(tid, &call, 0, result) {
                Some(submitted) if submitted > 0 && signals::handles_one(tid) => {}
                Some(submitted) => self.begin_again(tid, Again { call, begun: None, submitted }),
                None => {}
            }
        }
        if self.joining.is_empty() {
            // Rings that were made while the threads stopped one after the other.
            if let Some(table) = self.tasks.get(&tid).map(|task| task.table) {
                self.find_rings(table);
            }
        }
    }

    /// An enter returns. Without a tracer, a signal that the program ignores, or that another
    /// thread takes, does not end its wait: but the kernel wakes every thread that a tracer stopped
    /// while a signal was sent.
    pub(super) fn enter_ends(&mut self, tid: pid_t, begun: Begun, result: i64) {
        const EXT_ARG: u64 = 1 << 3;
        let (call, submitted) = (begun.call, begun.submitted);
        let timed = call.args[3] & EXT_ARG != 0;
        // Then the wait is cut short on purpose.
        let leaving = self.shared.leaving();
        if let Some(submitted) = self.cut_short(tid, &call, submitted, result) {
            let again = match signals::for_task(tid) {
                Awaited::Ignored if begun.blocked.is_none() => true,
                // With a time limit, it may have waited to the end. And other threads may have
                // taken the completions that it waited for. If it is this thread that takes the
                // signal after all, `signal_ends_a_wait` ends the wait.
                Awaited::Ignored | Awaited::Nothing | Awaited::HandledBySome => {
                    !timed && (submitted == 0 || self.alone(tid, begun.ring))
                }
                Awaited::Handled => false,
            };
            if again && !leaving {
                // The kernel restarts a call only if a signal is handled before the program
                // continues: otherwise the program would see the internal result.
                let _ = sys::interrupt(tid);
                return self.begin_again(tid, Again { call, begun: Some(begun), submitted });
            }
        }
        let mut result = result;
        if submitted > 0 && syscalls::answer_as_submitted(tid, submitted).is_ok() {
            result = submitted as i64;
        }
        self.shared.lock().returned(tid, result);
    }

    /// Whether no other thread has entered a ring.
    fn alone(&mut self, tid: pid_t, ring: Option<RingId>) -> bool {
        let Some(ring) = ring else { return false };
        *self.enterers.entry(ring).or_insert(tid) == tid
    }

    /// Whether a call that returns was cut short by a stop or a signal; if so, the number of
    /// entries that it has submitted.
    fn cut_short(&mut self, tid: pid_t, call: &Call, submitted: u64, result: i64) -> Option<u64> {
        const GETEVENTS: u64 = 1;
        let [_, to_submit, min_complete, flags, ..] = call.args;
        if result == -i64::from(libc::EINTR) {
            return Some(submitted);
        }
        let waits = syscalls::kind(call) == Kind::Enter && flags & GETEVENTS != 0;
        if !waits || result <= 0 || result as u64 != to_submit {
            return None;
        }
        let table = self.tasks.get(&tid)?.table;
        let ring = self.ring_of_enter(tid, table, call)?;
        self.shared.lock().lacks(ring, min_complete).then_some(to_submit)
    }

    /// Lets the kernel begin a call again that was cut short.
    fn begin_again(&mut self, tid: pid_t, again: Again) {
        let begins = syscalls::begin_again(tid, again.submitted > 0).is_ok();
        if begins && syscalls::kind(&again.call) == Kind::Enter {
            if let Some(task) = self.tasks.get_mut(&tid) {
                task.again = Some(again);
            }
        }
    }

    /// A signal comes to a task whose enter is about to begin again: the enter ends.
    pub(super) fn signal_ends_a_wait(&mut self, tid: pid_t, signal: i32) {
        let ends = |again: &mut Again| {
            ANSWERS_AT_A_SIGNAL && again.begun.is_some() && !signals::is_ignored(tid, signal)
        };
        let again = self.tasks.get_mut(&tid).and_then(|task| task.again.take_if(ends));
        let Some(Again { submitted, .. }) = again else { return };
        // If the enter submitted nothing, the kernel answers EINTR by itself.
        let result = if submitted == 0 { -i64::from(libc::EINTR) } else { submitted as i64 };
        if submitted == 0 || syscalls::answer_as_submitted(tid, submitted).is_ok() {
            self.shared.lock().returned(tid, result);
        }
    }

    /// What was known of an enter that has begun again.
    pub(super) fn begins_again(&mut self, tid: pid_t, call: &Call) -> Option<Again> {
        let task = self.tasks.get_mut(&tid)?;
        // A handler of the program can run first, and make system calls.
        let same = |again: &mut Again| {
            let to_submit = if again.submitted > 0 { 0 } else { again.call.args[1] };
            let [fd, _, min_complete, ..] = again.call.args;
            call.args[..3] == [fd, to_submit, min_complete]
        };
        task.again.take_if(same)
    }

    /// Lets go. The end of the tracer's thread changes only one thing for a program: an enter that
    /// was begun again submits nothing, and its result would say so. That enter gets a moment to
    /// end by itself, and then ends early, as after SIGSTOP and SIGCONT.
    pub(super) fn let_go_of_all(&mut self) {
        const MOMENT: Duration = Duration::from_secs(1);
        let changed = |task: &Task| {
            task.again.as_ref().is_some_and(|again| again.submitted > 0)
                || task.call.as_ref().is_some_and(|begun| begun.submitted > 0)
        };
        let mut end = Some(Instant::now() + MOMENT);
        while self.tasks.values().any(changed) {
            match sys::wait_any() {
                Ok(Some((pid, status))) => self.stopped(pid, status),
                Ok(None) => {}
                Err(_) => break,
            }
            if end.take_if(|end| Instant::now() > *end).is_some() {
                for (tid, _) in self.tasks.iter().filter(|(_, task)| changed(task)) {
                    let _ = sys::interrupt(*tid);
                }
            }
        }
        self.shared.lock().let_go(self.root, self.tasks.len() as u32);
    }
}
