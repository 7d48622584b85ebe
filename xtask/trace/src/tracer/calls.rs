//! What the tracer does at both ends of the system calls that matter to rings.

use std::io;

use common::catalog;
use libc::pid_t;

use super::{Begun, Task, Tracer, signals};
use crate::codes::{call, setup};
use crate::describe::Details;
use crate::event::{self, What};
use crate::names::{error_name, names, why_not_followed};
use crate::params::Params;
use crate::refused::RefusedRing;
use crate::register;
use crate::ring::Ring;
use crate::ring_descriptors::{RingId, TableId};
use crate::sys;
use crate::syscalls::{self, Call, Kind, Stop};

impl Tracer {
    /// A stop by the filter of the fast mode, in place of one at the entry.
    pub(super) fn filtered(&mut self, pid: pid_t) {
        // The program's own filter may stop for a tracer, too: that stop is ignored.
        if let (true, Ok(Stop::Entry(call))) = (self.fast, syscalls::stop_of(pid)) {
            self.entry(pid, call);
        }
    }

    pub(super) fn system_call(&mut self, pid: pid_t) {
        match syscalls::stop_of(pid) {
            Ok(Stop::Entry(call)) => self.entry(pid, call),
            Ok(Stop::Exit(result)) => self.exit(pid, result),
            Ok(Stop::None) | Err(_) => {}
        }
    }

    fn entry(&mut self, pid: pid_t, call: Call) {
        let kind = syscalls::kind(&call);
        let Some(Task { table, process, .. }) = self.tasks.get(&pid) else { return };
        let (table, process) = (*table, *process);
        let mut begun = Begun {
            call,
            kind,
            ring: None,
            asked: None,
            blocked: None,
            register: None,
            submitted: 0,
        };
        match kind {
            Kind::Setup => {
                begun.asked = read_params(pid, call.args[1]).ok();
                self.shared.lock().making(pid);
            }
            Kind::Enter => {
                let again = self.begins_again(pid, &call);
                begun.submitted = again.as_ref().map_or(0, |again| again.submitted);
                if let Some(before) = again.and_then(|again| again.begun) {
                    begun = Begun { submitted: begun.submitted, ..before };
                } else {
                    begun.ring = self.ring_of_enter(pid, table, &call);
                    // A thread that sleeps when it is let go could not get its mask back.
                    if !self.joined {
                        begun.blocked = signals::block_ignored(pid, &call);
                    }
                    if let Some(ring) = begun.ring {
                        let first = *self.enterers.entry(ring).or_insert(pid);
                        self.enterers.insert(ring, if first == pid { pid } else { 0 });
                    }
                    let stack = syscalls::stack_pointer(pid);
                    self.shared.lock().entering(pid, begun.ring, &call.args, stack);
                    self.shared.wake();
                }
            }
            Kind::Register => {
                begun.ring = self.ring_of_register(pid, table, &call);
                begun.register = Some(self.registering(pid, &begun));
            }
            _ => {
                let untraced = clone_flags(pid, &begun) & libc::CLONE_UNTRACED as u64 != 0;
                let mut watch = self.shared.lock();
                watch.summary.untraced += u64::from(untraced);
                // First what was there before the call.
                watch.glance(pid, process);
                watch.count_call(pid, &syscalls::name(&call), &call);
                watch.called(pid, process, &syscalls::name(&call), &call);
                watch.flush();
                drop(watch);
                self.closing(pid, table, kind, &call);
            }
        }
        if let Some(task) = self.tasks.get_mut(&pid) {
            task.call = Some(begun);
        }
    }

    /// Calls that close descriptors: the tracer has to let go first, so that the program's
    /// own close is the one that ends the ring.
    fn closing(&mut self, pid: pid_t, table: TableId, kind: Kind, call: &Call) {
        const CLOEXEC: u64 = 1 << 2;
        let (first, last) = match kind {
            Kind::Close => (call.args[0] as u32, call.args[0] as u32),
            Kind::CloseRange if call.args[2] & CLOEXEC == 0 => {
                (call.args[0] as u32, call.args[1] as u32)
            }
            Kind::DupTo if call.args[0] != call.args[1] => {
                (call.args[1] as u32, call.args[1] as u32)
            }
            _ => return,
        };
        let orphans = self.descriptors.close(table, first, last);
        self.let_go(pid, orphans);
    }

    fn exit(&mut self, pid: pid_t, result: i64) {
        let Some(task) = self.tasks.get_mut(&pid) else { return };
        let Some(begun) = task.call.take() else { return };
        let (call, table, process) = (begun.call, task.table, task.process);
        self.shared.lock().call_ended(pid, process);
        if let Some(blocked) = begun.blocked {
            signals::restore(pid, blocked);
        }
        match begun.kind {
            Kind::Enter => self.enter_ends(pid, begun, result),
            Kind::Setup => self.set_up(pid, &begun, result),
            Kind::Register => self.registered(pid, begun, result),
            Kind::Dup | Kind::DupTo if result >= 0 => self.copied(table, call.args[0], result),
            Kind::Fcntl
                if result >= 0
                    && matches!(call.args[1] as i32, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) =>
            {
                self.copied(table, call.args[0], result);
            }
            Kind::Unshare if result == 0 && call.args[0] & libc::CLONE_FILES as u64 != 0 => {
                let own = self.descriptors.copy(table);
                if let Some(task) = self.tasks.get_mut(&pid) {
                    task.table = own;
                }
            }
            _ => {}
        }
    }

    fn copied(&mut self, table: TableId, from: u64, to: i64) {
        if let Some(ring) = self.descriptors.ring(table, from as i32) {
            self.descriptors.add(table, to as i32, ring);
        }
    }

    pub(super) fn ring_of_enter(
        &mut self,
        pid: pid_t,
        table: TableId,
        call: &Call,
    ) -> Option<RingId> {
        const REGISTERED_RING: u64 = 1 << 4;
        if call.args[3] & REGISTERED_RING == 0 {
            return self.descriptors.ring(table, call.args[0] as i32);
        }
        let known = self.descriptors.indexed(pid, call.args[0] as u32);
        known.or_else(|| self.ring_of_unknown_index(pid, call))
    }

    fn ring_of_register(&self, pid: pid_t, table: TableId, call: &Call) -> Option<RingId> {
        if call.args[1] as u32 & register::USE_REGISTERED_RING != 0 {
            self.descriptors.indexed(pid, call.args[0] as u32)
        } else {
            self.descriptors.ring(table, call.args[0] as i32)
        }
    }

    fn set_up(&mut self, pid: pid_t, begun: &Begun, result: i64) {
        let call = &begun.call;
        let asked = begun.asked.unwrap_or_default();
        let mut told = event::Setup {
            ring: None,
            result,
            error: None,
            not_followed: None,
            asked_entries: call.args[0],
            asked_cq_entries: asked.cq_entries,
            asked_flags: names(&catalog::SETUP_FLAGS, asked.flags),
            granted: None,
        };
        let granted = read_params(pid, call.args[1]);
        // After a seccomp filter that kills or traps, no call happens: the number of the call then
        // stands in place of its result.
        let trapped = granted.as_ref().is_ok_and(|granted| granted.sq_entries == 0);
        if result < 0 || trapped {
            let error = (result < 0).then_some(-result as i32);
            let name = error.map_or_else(|| "SIGSYS".to_string(), error_name);
            let mut watch = self.shared.lock();
            let summary = &mut watch.summary;
            *summary.refused.entry(name.clone()).or_default() += 1;
            let entries = call.args[0] as u32;
            let refused = begun.asked.map(|asked| RefusedRing { entries, asked, error });
            summary.refused_ring.clone_from(&refused);
            told.error = Some(name);
            if let Some(refused) = refused {
                watch.refused(pid, &refused);
            }
        } else {
            self.shared.lock().summary.rings += 1;
            told.granted = granted.as_ref().ok().map(as_granted);
            match granted.and_then(|granted| self.take_over(pid, result as i32, granted)) {
                Ok(ring) => told.ring = Some(ring),
                Err(error) => {
                    let reason = why_not_followed(&error);
                    let mut watch = self.shared.lock();
                    *watch.summary.not_followed.entry(reason.clone()).or_default() += 1;
                    told.not_followed = Some(reason);
                }
            }
        }
        let mut watch = self.shared.lock();
        watch.not_making(pid);
        watch.tell(pid, What::Setup(told));
        watch.flush();
        self.shared.wake();
    }

    fn take_over(&mut self, pid: pid_t, fd: i32, params: Params) -> io::Result<RingId> {
        let Some(task) = self.tasks.get(&pid) else { return Err(nix::errno::Errno::ESRCH.into()) };
        let ring = if params.has(setup::NO_MMAP) {
            Ring::remote(task.process, params)
        } else {
            Ring::mapped(sys::take_descriptor(task.process, pid, fd)?, params)?
        };
        let table = task.table;
        let mut watch = self.shared.lock();
        let id = watch.follow(task.process, ring);
        watch.made(id, pid, fd);
        drop(watch);
        if params.has(setup::REGISTERED_FD_ONLY) {
            self.descriptors.add_index(pid, fd as u32, id);
        } else {
            self.descriptors.add(table, fd, id);
        }
        Ok(id)
    }

    /// Save what the call asks for: the kernel may overwrite it.
    fn registering(&mut self, pid: pid_t, begun: &Begun) -> Details {
        let [ring_fd, opcode, argument, count, ..] = begun.call.args;
        if let Some(ring) = begun.ring {
            self.shared.lock().look(pid, ring);
        }
        // As with a close: let go before the program does.
        let operation = opcode as u32 & !register::USE_REGISTERED_RING;
        if operation == call::UNREGISTER_RING_FDS {
            let mut orphans = Vec::new();
            for index in register::ring_indices(pid, argument, count) {
                orphans.extend(self.descriptors.remove_index(pid, index.index));
            }
            self.let_go(pid, orphans);
        }
        if operation == call::REGISTER_RESTRICTIONS && ring_fd as i32 == -1 {
            return register::restrictions_of_thread(pid, argument);
        }
        register::details(pid, operation, argument, count)
    }

    fn registered(&mut self, pid: pid_t, begun: Begun, result: i64) {
        let Some(table) = self.tasks.get(&pid).map(|task| task.table) else { return };
        let ring = begun.ring;
        let [_, opcode, argument, count, ..] = begun.call.args;
        let operation = opcode as u32 & !register::USE_REGISTERED_RING;
        let mut details = begun.register.unwrap_or_default();
        if result >= 0 {
            register::answer(pid, operation, argument, result, &mut details);
        }
        if let Some(denied) = self.denied {
            if result >= 0 && operation == call::REGISTER_PROBE && u64::from(denied) < count {
                // A program whose memory cannot be written gets the kernel's answer.
                let _ = deny(pid, argument, denied);
            }
        }
        let mut resized = None;
        if result >= 0 && operation == call::REGISTER_RING_FDS {
            for index in register::ring_indices(pid, argument, result as u64) {
                if let Some(ring) = self.descriptors.ring(table, index.fd) {
                    self.descriptors.add_index(pid, index.index, ring);
                }
            }
        } else if result >= 0 && operation == call::REGISTER_RESIZE_RINGS {
            resized = self.resized(pid, ring, argument);
        }
        let op = format!("{:#}", catalog::REGISTER_OPERATIONS.name(operation));
        let error = (result < 0).then(|| error_name(-result as i32));
        let (detail, details) = (details.words(), details.object());
        let told = event::Register { ring, op, count, detail, details, result, error, resized };
        self.shared.lock().registered(pid, told, operation, argument);
    }

    fn resized(&self, pid: pid_t, ring: Option<RingId>, argument: u64) -> Option<event::Granted> {
        let params = read_params(pid, argument).ok()?;
        let mut watch = self.shared.lock();
        let ring = ring?;
        let before = watch.params(ring)?;
        let after = params.as_resized(&before);
        watch.resized(ring, after).ok()?;
        Some(as_granted(&after))
    }
}

/// The stack that a call which starts a thread gives it, where the call says how large it is.
pub(super) fn new_stack(pid: pid_t, begun: &Begun) -> Option<std::ops::Range<u64>> {
    /// `stack` and `stack_size` of `struct clone_args`.
    const STACK: u64 = 40;
    if begun.kind != Kind::Clone3 {
        return None;
    }
    let mut bytes = [0; 16];
    sys::read_memory(pid, begun.call.args[0] + STACK, &mut bytes).ok()?;
    let start = u64::from_ne_bytes(bytes[..8].try_into().ok()?);
    let size = u64::from_ne_bytes(bytes[8..].try_into().ok()?);
    Some(start..start.checked_add(size)?)
}

/// The `CLONE_*` flags of a call that starts a task.
pub(super) fn clone_flags(pid: pid_t, begun: &Begun) -> u64 {
    match begun.kind {
        Kind::Clone => begun.call.args[0],
        Kind::Clone3 => {
            let mut bytes = [0; 8];
            let read = sys::read_memory(pid, begun.call.args[0], &mut bytes);
            read.map_or(0, |()| u64::from_ne_bytes(bytes))
        }
        _ => 0,
    }
}

/// Takes an operation out of the answer to a probe (`struct io_uring_probe`).
fn deny(pid: pid_t, probe: u64, operation: u8) -> io::Result<()> {
    const HEADER: u64 = 16;
    const EACH: u64 = 8;
    const FLAGS: u64 = 2;
    let flags = probe + HEADER + EACH * u64::from(operation) + FLAGS;
    sys::write_memory(pid, flags, &0_u16.to_ne_bytes())
}

fn read_params(pid: pid_t, address: u64) -> io::Result<Params> {
    let mut bytes = [0; Params::SIZE];
    sys::read_memory(pid, address, &mut bytes)?;
    Ok(Params::parse(&bytes))
}

fn as_granted(params: &Params) -> event::Granted {
    event::Granted {
        sq_entries: params.sq_entries,
        cq_entries: params.cq_entries,
        flags: names(&catalog::SETUP_FLAGS, params.flags),
        features: names(&catalog::FEATURES, params.features),
        sq_thread_idle: params.sq_thread_idle,
        sq_thread_cpu: params.sq_thread_cpu,
    }
}
