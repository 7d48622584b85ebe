//! Keeps count of descriptors and slots that completions gave and that were not closed.

use std::collections::BTreeMap;

use libc::pid_t;

use super::{Fact, Found, Handle, Kind, Request, Rules, Scene, at, listed};
use crate::codes::{call, op};
use crate::decode::{Completion, Direct};
use crate::names::{error_name, operation};
use crate::syscalls::Call;

const ORPHAN: Kind =
    Kind::new("descriptor-lost", "when-it-goes-wrong.html#time-signals-and-the-end");
const NOT_CLOSED: Kind = Kind::new("not-closed", "journal-corrected.html#3-slots-are-never-freed");
const CLOSE_CANCELLED: Kind = Kind::new("slot-lost", "links-and-drains.html#break-it");
const TABLE_FULL: Kind = Kind::new("table-full", "when-it-goes-wrong.html#pitfall-4");

/// A descriptor that is unused for this long was forgotten.
const LONG_US: u64 = 100_000;
/// This many of a kind are no accident.
const MANY: usize = 3;

/// What a completion gave.
#[derive(Debug)]
struct Given {
    by: String,
    opcode: u8,
    user_data: u64,
    us: u64,
    /// It is there: the entry has completed.
    filled: bool,
    used: bool,
    /// A cancel of the entry that gave it came too late.
    cancelled: Option<String>,
    /// When its input ended.
    ended_us: Option<u64>,
    /// Its close was submitted.
    closing: bool,
    /// Its close did not happen.
    close_cancelled: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Files {
    given: BTreeMap<Handle, Given>,
}

impl Rules for Files {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Submitted(request) => self.submitted(request),
            Fact::Completed { request: Some(request), completion, .. } => {
                self.completed(request, completion, scene, found);
            }
            Fact::Registered { operation: call::UNREGISTER_FILES, .. } => {
                self.given.retain(
                    |handle, _| !matches!(handle, Handle::Slot(ring, _) if *ring == scene.ring),
                );
            }
            Fact::Called { name, call, .. } => self.called(scene.owner, name, call),
            Fact::Closing { .. } => {
                let here = |handle: &Handle| matches!(handle, Handle::Slot(ring, _) if *ring == scene.ring);
                self.lost(here, scene, found);
                self.given.retain(|handle, _| !here(handle));
            }
            Fact::Ended(_) => self.lost(|_| true, scene, found),
            _ => {}
        }
    }
}

impl Given {
    fn by(request: &Request, us: u64) -> Given {
        Given {
            by: request.name(),
            opcode: request.entry.opcode,
            user_data: request.entry.user_data,
            us,
            filled: false,
            used: false,
            cancelled: None,
            ended_us: None,
            closing: false,
            close_cancelled: None,
        }
    }
}

impl Files {
    fn submitted(&mut self, request: &Request) {
        let entry = &request.entry;
        if let Some(given) = request.closes().and_then(|handle| self.given.get_mut(&handle)) {
            given.closing = true;
            return;
        }
        // What uses a slot may be in the same chain, before it is filled.
        if let Direct::Slot(slot) = entry.direct() {
            let handle = Handle::Slot(request.ring, slot);
            self.given.insert(handle, Given::by(request, request.us));
        }
        if let Some(given) = request.handle().and_then(|handle| self.given.get_mut(&handle)) {
            given.used = true;
        }
        match entry.opcode {
            op::SPLICE | op::TEE => self.used(Handle::Fd(request.owner, entry.file_index as i32)),
            op::FILES_UPDATE => {
                let slots = entry.off as u32..(entry.off as u32).saturating_add(entry.len);
                self.given.retain(|handle, _| {
                    !matches!(handle, Handle::Slot(ring, slot)
                        if *ring == request.ring && slots.contains(slot))
                });
            }
            _ => {}
        }
    }

    fn used(&mut self, handle: Handle) {
        if let Some(given) = self.given.get_mut(&handle) {
            given.used = true;
        }
    }

    fn completed(
        &mut self,
        request: &Request,
        completion: &Completion,
        scene: &Scene<'_>,
        found: &mut Found,
    ) {
        let res = completion.res;
        let gives =
            [op::ACCEPT, op::OPENAT, op::OPENAT2, op::SOCKET].contains(&request.entry.opcode);
        match request.entry.direct() {
            _ if !gives => {}
            Direct::No if res >= 0 => {
                let given = Given { filled: true, ..Given::by(request, scene.us) };
                self.given.insert(Handle::Fd(request.owner, res), given);
            }
            Direct::Any if res >= 0 => {
                let given = Given { filled: true, ..Given::by(request, scene.us) };
                self.given.insert(Handle::Slot(request.ring, res as u32), given);
            }
            Direct::Slot(slot) if res < 0 => {
                self.given.remove(&Handle::Slot(request.ring, slot));
            }
            Direct::Slot(slot) => {
                if let Some(given) = self.given.get_mut(&Handle::Slot(request.ring, slot)) {
                    (given.filled, given.us) = (true, scene.us);
                }
            }
            _ => {}
        }
        if let Some(handle) = request.closes() {
            match completion.error() {
                Some(libc::ECANCELED) => {
                    if let Some(given) = self.given.get_mut(&handle) {
                        given.closing = false;
                        given.close_cancelled = Some(request.name());
                    }
                }
                _ => _ = self.given.remove(&handle),
            }
            return;
        }
        let too_late = [libc::ENOENT, libc::EALREADY];
        if request.entry.opcode == op::ASYNC_CANCEL
            && completion.error().is_some_and(|error| too_late.contains(&error))
        {
            let target = request.entry.addr;
            for given in self.given.values_mut().filter(|given| given.user_data == target) {
                let error = completion.error().map_or_else(String::new, error_name);
                given.cancelled = Some(format!("{}: {error}", request.name()));
            }
        }
        if request.entry.takes() && (res == 0 || res < 0 && !passes(-res)) {
            if let Some(given) = request.handle().and_then(|handle| self.given.get_mut(&handle)) {
                given.ended_us.get_or_insert(scene.us);
            }
        }
        if completion.error().is_some_and(|error| [libc::ENFILE, libc::EMFILE].contains(&error)) {
            self.full(request, -res, scene, found);
        }
    }

    fn called(&mut self, process: pid_t, name: &str, call: &Call) {
        let fd = |argument: usize| Handle::Fd(process, call.args[argument] as i32);
        match name {
            "close" => _ = self.given.remove(&fd(0)),
            "close_range" => {
                let range = call.args[0] as i32..=call.args[1].min(i32::MAX as u64) as i32;
                self.given.retain(|handle, _| {
                    !matches!(handle, Handle::Fd(of, fd) if *of == process && range.contains(fd))
                });
            }
            // Its descriptors are copied, or go to a program that is meant to have them.
            "fork" | "vfork" | "clone" | "clone3" | "execve" | "execveat" => {
                self.given.values_mut().for_each(|given| given.used = true);
            }
            _ => {
                self.used(fd(0));
                match name {
                    "epoll_ctl" | "splice" | "copy_file_range" => self.used(fd(2)),
                    "mmap" => self.used(fd(4)),
                    "sendmsg" | "poll" | "ppoll" | "select" | "pselect6" => {
                        self.given.values_mut().for_each(|given| given.used = true);
                    }
                    _ => {}
                }
            }
        }
    }

    /// No slot or descriptor is left, and many of those that are taken are no longer used.
    fn full(&self, request: &Request, error: i32, scene: &Scene<'_>, found: &mut Found) {
        let table = |handle: &Handle| match handle {
            Handle::Slot(ring, _) => *ring == request.ring && error == libc::ENFILE,
            Handle::Fd(process, _) => *process == request.owner && error == libc::EMFILE,
        };
        let all: Vec<_> = self.given.iter().filter(|(handle, _)| table(handle)).collect();
        let idle: Vec<_> = all
            .iter()
            .filter(|(_, given)| {
                let idle_us = given.ended_us.or((!given.used).then_some(given.us));
                !given.closing && idle_us.is_some_and(|us| scene.us.saturating_sub(us) >= LONG_US)
            })
            .collect();
        if idle.len() >= MANY && idle.len() * 2 >= all.len() {
            found.say_once(
                scene,
                TABLE_FULL,
                format!(
                    "{} was answered with {}; {} of {} that completions gave have ended or were \
                     never used, and are not closed: {}",
                    request.name(),
                    error_name(error),
                    idle.len(),
                    all.len(),
                    listed(idle.iter().map(|(handle, _)| **handle))
                ),
                "What an accept or an open gives stays taken until a close. Close it when the \
                 connection has ended, whatever ended it.",
            );
        }
    }

    /// The process or the ring is gone: what was never used, and what was never closed.
    fn lost(&self, of: impl Fn(&Handle) -> bool, scene: &Scene<'_>, found: &mut Found) {
        let old = |us: u64| scene.us.saturating_sub(us) >= LONG_US;
        let mut left: Vec<(&Handle, &Given)> = self
            .given
            .iter()
            .filter(|(handle, given)| of(handle) && given.filled && !given.closing)
            .collect();
        // Calls that would use a descriptor are not seen.
        left.retain(|(handle, _)| !scene.fast || matches!(handle, Handle::Slot(..)));
        for (handle, given) in &left {
            if let Some(close) = &given.close_cancelled {
                found.say(
                    scene,
                    CLOSE_CANCELLED,
                    format!(
                        "{close} was cancelled, for the chain before it broke, and {handle}, which \
                         {} filled, was not closed after that",
                        given.by
                    ),
                    "An error ends a chain, and so does a short read. What is behind it does not \
                     run: close it then by an entry of its own, or tie the close with a hard link.",
                );
            }
            if let Some(cancel) = given.cancelled.as_ref().filter(|_| !given.used) {
                found.say(
                    scene,
                    ORPHAN,
                    format!(
                        "{} gave {handle} {}, although a cancel was sent for it ({cancel}); nothing \
                         used or closed it after that",
                        given.by,
                        at(given.us)
                    ),
                    "A cancel can come too late. Look at the completion of the cancelled entry: if \
                     it succeeded, use what it gave or close it.",
                );
            }
        }
        let rest =
            || left.iter().filter(|(_, it)| it.cancelled.is_none() && it.close_cancelled.is_none());
        for opcode in [op::ACCEPT, op::OPENAT, op::OPENAT2, op::SOCKET] {
            let unused: Vec<_> =
                rest().filter(|(_, given)| given.opcode == opcode && !given.used).collect();
            let forgotten = unused.iter().any(|(_, given)| opcode == op::ACCEPT && old(given.us));
            if forgotten || opcode != op::ACCEPT && unused.len() >= MANY {
                found.say(
                    scene,
                    ORPHAN,
                    format!(
                        "{} gave {}, the first {}, and nothing used or closed that",
                        operation(opcode),
                        listed(unused.iter().map(|(handle, _)| **handle)),
                        at(unused[0].1.us)
                    ),
                    "The program must close what a completion gives. Does it look at the result?",
                );
            }
        }
        let ended: Vec<_> = rest()
            .filter(|(_, given)| given.opcode == op::ACCEPT)
            .filter_map(|(handle, given)| Some((handle, given.ended_us.filter(|us| old(*us))?)))
            .collect();
        if !ended.is_empty() {
            found.say(
                scene,
                NOT_CLOSED,
                format!(
                    "the input of {} ended, the first time {}, and it was not closed",
                    listed(ended.iter().map(|(handle, _)| **handle)),
                    at(ended[0].1)
                ),
                "A connection whose peer has gone keeps its descriptor or slot until a close: in \
                 the end no descriptor or slot is left.",
            );
        }
    }
}

/// Errors that do not end a connection.
fn passes(error: i32) -> bool {
    [
        libc::ENOBUFS,
        libc::ECANCELED,
        libc::EAGAIN,
        libc::EINTR,
        libc::EINVAL,
        libc::EBADF,
        libc::EFAULT,
    ]
    .contains(&error)
}
