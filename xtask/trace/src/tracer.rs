//! Stopping a program at its system calls.
//!
//! One thread does this and nothing else, since `ptrace` binds a tracee to the thread that
//! traces it. The [`Watch`](super::watch::Watch) learns what a stop means for the rings.

mod calls;
mod joined;
mod signals;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use libc::pid_t;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::joined::{Again, Joining};
use super::attach;
use super::describe::Details;
use super::event::{self, What};
use super::launch::Launched;
use super::params::Params;
use super::ring_descriptors::{Descriptors, RingId, TableId};
use super::shared::Shared;
use super::sys::{self, Status};
use super::syscalls::{Call, Kind};
use super::threads;

/// A thread of the program.
#[derive(Debug)]
struct Task {
    process: pid_t,
    table: TableId,
    /// The call it is in.
    call: Option<Begun>,
    /// It has begun to exit: none of its later system calls is seen.
    leaving: bool,
    /// The enter that begins again.
    again: Option<Again>,
}

/// A system call that has not returned.
#[derive(Debug)]
struct Begun {
    call: Call,
    kind: Kind,
    /// The ring that it is about.
    ring: Option<RingId>,
    /// What a setup asks for.
    asked: Option<Params>,
    /// The signals that the task blocks outside of this call, if it blocks more in it.
    blocked: Option<u64>,
    /// What a register call asks for.
    register: Option<Details>,
    /// The result of an enter that was begun again: the entries that it submitted before.
    submitted: u64,
}

/// The traced threads and what they hold.
#[derive(Debug)]
pub struct Tracer {
    shared: Arc<Shared>,
    root: pid_t,
    tasks: HashMap<pid_t, Task>,
    descriptors: Descriptors,
    /// Tasks that stopped before their parent's stop named their process.
    early: HashSet<pid_t>,
    became_the_program: bool,
    status: Option<i32>,
    /// Only the calls that a seccomp filter picks stop the program.
    fast: bool,
    /// The operation that the answer to a probe denies.
    denied: Option<u8>,
    /// The program ran before the tracer came, and runs on when it goes.
    joined: bool,
    /// Its threads that have not stopped yet.
    joining: HashMap<pid_t, Joining>,
    /// The first thread that entered a ring; 0 if there was another.
    enterers: HashMap<RingId, pid_t>,
    /// Its descriptors of rings that cannot be followed.
    not_followed: Vec<i32>,
    /// Its memory was searched for rings without a descriptor.
    searched: bool,
}

impl Tracer {
    /// A tracer for a program that this thread has just launched.
    pub fn new(shared: Arc<Shared>, launched: &Launched, fast: bool) -> Tracer {
        let mut descriptors = Descriptors::default();
        let root = launched.pid;
        let table = descriptors.new_table();
        let task = Task { process: root, table, call: None, leaving: false, again: None };
        Tracer {
            shared,
            root,
            tasks: HashMap::from([(root, task)]),
            descriptors,
            early: HashSet::new(),
            became_the_program: false,
            status: None,
            fast,
            denied: launched.denied,
            joined: false,
            joining: HashMap::new(),
            enterers: HashMap::new(),
            not_followed: Vec::new(),
            searched: false,
        }
    }

    /// Traces until the last task has ended. Returns the program's exit status (128 plus the
    /// signal, if one killed it), and whether it ever began. If the tracer lets go, the status is
    /// 0, and the end of this thread frees the program.
    pub fn run(mut self) -> (i32, bool) {
        while let Ok(stop) = sys::wait_any() {
            match stop {
                Some((pid, status)) => self.stopped(pid, status),
                None => self.tick(),
            }
            if self.shared.leaving() {
                self.let_go_of_all();
                return (0, true);
            }
        }
        // Tasks that were not let go of in order: the tracer missed that they were killed.
        let mut watch = self.shared.lock();
        for ring in watch.followed() {
            watch.close(0, ring);
        }
        let status = self.status.unwrap_or(1);
        watch.summary.status = Some(status);
        watch.ended(status);
        (status, self.became_the_program)
    }

    fn stopped(&mut self, pid: pid_t, status: Status) {
        if !self.tasks.contains_key(&pid) {
            match status {
                Status::Exited(_) | Status::Signaled(_) => _ = self.early.remove(&pid),
                // Its parent was killed before its stop named the process.
                Status::Event(libc::PTRACE_EVENT_EXIT, _) => _ = sys::go_on(pid, 0),
                _ => _ = self.early.insert(pid),
            }
            return;
        }
        // A task can be killed while it is stopped: then every request for it fails, and its end is
        // reported next.
        let _ = match status {
            Status::Syscall => {
                self.system_call(pid);
                self.go_on(pid, 0)
            }
            Status::Signal(signal) => {
                self.signal_ends_a_wait(pid, signal);
                self.shared.lock().signal(pid, signal);
                self.go_on(pid, signal)
            }
            Status::Event(event, signal) => self.event(pid, event, signal),
            Status::Exited(code) => {
                self.ended(pid, code, None);
                Ok(())
            }
            Status::Signaled(signal) => {
                self.ended(pid, 128 + signal, Some(signal));
                Ok(())
            }
        };
    }

    fn go_on(&self, pid: pid_t, signal: i32) -> std::io::Result<()> {
        // Before the program has begun, the calls are those of our child. With the filter, the
        // tracer waits only for the answer to a call that the filter has stopped.
        let inside =
            |task: &Task| task.call.as_ref().is_some_and(|begun| begun.kind.has_an_answer());
        let stop =
            self.became_the_program && (!self.fast || self.tasks.get(&pid).is_some_and(inside));
        if stop { sys::to_next_syscall(pid, signal) } else { sys::go_on(pid, signal) }
    }

    fn event(&mut self, pid: pid_t, event: i32, signal: i32) -> std::io::Result<()> {
        match event {
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                let new = sys::event_message(pid)? as pid_t;
                self.new_task(pid, new);
            }
            libc::PTRACE_EVENT_EXEC => {
                let former = sys::event_message(pid)? as pid_t;
                self.exec(pid, former);
            }
            libc::PTRACE_EVENT_SECCOMP => self.filtered(pid),
            libc::PTRACE_EVENT_EXIT => {
                self.leaving(pid);
                return sys::go_on(pid, 0);
            }
            // A job-control stop: it stays stopped, as it would without a tracer.
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => return sys::listen(pid),
            libc::PTRACE_EVENT_STOP if self.joining.contains_key(&pid) => self.has_joined(pid),
            _ => {}
        }
        self.go_on(pid, 0)
    }

    fn new_task(&mut self, parent: pid_t, new: pid_t) {
        let Some(task) = self.tasks.get(&parent) else { return };
        let flags = match &task.call {
            Some(begun) => calls::clone_flags(parent, begun),
            // It was in that call when it was joined.
            None if threads::tids(task.process).contains(&new) => {
                (libc::CLONE_THREAD | libc::CLONE_FILES) as u64
            }
            None => 0,
        };
        let thread = flags & libc::CLONE_THREAD as u64 != 0;
        let process = if thread { task.process } else { new };
        let table = if flags & libc::CLONE_FILES as u64 != 0 {
            task.table
        } else {
            self.descriptors.copy(task.table)
        };
        let begun = task.call.as_ref();
        let stack = begun.and_then(|begun| calls::new_stack(parent, begun));
        self.tasks.insert(new, Task { process, table, call: None, leaving: false, again: None });
        self.shared.lock().thread_begins(new, process, stack.filter(|_| thread));
        self.shared.lock().tell(parent, What::Task(event::Task { new, process: !thread }));
        if self.early.remove(&new) {
            let _ = self.go_on(new, 0);
        }
    }

    /// The process became another program. Its other threads are gone, even if one of them called;
    /// it has a separate descriptor table, without descriptors marked close-on-exec.
    fn exec(&mut self, pid: pid_t, former: pid_t) {
        self.became_the_program = true;
        let old = self.tasks.remove(&former).map(|task| task.table);
        let table = match old {
            Some(table) => self.descriptors.copy(table),
            None => self.descriptors.new_table(),
        };
        let gone: Vec<pid_t> = self
            .tasks
            .iter()
            .filter(|(tid, task)| task.process == pid && **tid != pid)
            .map(|(tid, _)| *tid)
            .collect();
        for tid in gone {
            self.forget(tid);
        }
        self.shared.lock().task_gone(pid);
        let task = Task { process: pid, table, call: None, leaving: false, again: None };
        let replaced = self.tasks.insert(pid, task);
        let mut orphans = self.descriptors.remove_task(former);
        for table in replaced.map(|task| task.table).into_iter().chain(old) {
            orphans.extend(self.drop_table_if_unused(table));
        }
        for fd in self.descriptors.rings_in(table) {
            if !attach::holds_a_ring(pid, fd) {
                orphans.extend(self.descriptors.close(table, fd as u32, fd as u32));
            }
        }
        self.let_go(pid, orphans);
        let program = std::fs::read_link(format!("/proc/{pid}/exe"))
            .map_or_else(|_| "?".to_string(), |path| path.display().to_string());
        let mut watch = self.shared.lock();
        watch.tell(pid, What::Start(event::Start { pid, program }));
        watch.flush();
    }

    /// A task has begun to exit. With the last task of a descriptor table, its descriptors are
    /// released: now, before the kernel closes them, or we would hold them open.
    fn leaving(&mut self, pid: pid_t) {
        let Some(task) = self.tasks.get_mut(&pid) else { return };
        task.leaving = true;
        task.call = None;
        task.again = None;
        let table = task.table;
        self.shared.lock().task_gone(pid);
        let mut orphans = self.descriptors.remove_task(pid);
        orphans.extend(self.drop_table_if_unused(table));
        self.let_go(pid, orphans);
    }

    fn drop_table_if_unused(&mut self, table: TableId) -> Vec<RingId> {
        if self.tasks.values().any(|task| task.table == table && !task.leaving) {
            return Vec::new();
        }
        self.descriptors.remove_table(table)
    }

    fn let_go(&self, pid: pid_t, rings: Vec<RingId>) {
        let mut watch = self.shared.lock();
        for ring in rings {
            watch.close(pid, ring);
        }
    }

    fn ended(&mut self, pid: pid_t, status: i32, signal: Option<i32>) {
        let process = self.tasks.get(&pid).is_some_and(|task| task.process == pid);
        self.forget(pid);
        if self.tasks.is_empty() {
            // No parent is left to name their process: they would stay stopped.
            for early in &self.early {
                let _ = kill(Pid::from_raw(*early), Signal::SIGKILL);
            }
        }
        if pid == self.root {
            self.status = Some(status);
        }
        if process && self.became_the_program {
            let signal = signal.map(signal_name);
            let mut watch = self.shared.lock();
            watch.tell(pid, What::Exit(event::Exit { pid, status, signal }));
            watch.flush();
        }
    }

    fn forget(&mut self, pid: pid_t) {
        self.leaving(pid);
        self.tasks.remove(&pid);
        self.joining.remove(&pid);
    }
}

fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}
