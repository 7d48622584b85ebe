//! What stays armed, and how it is named: multishots that ended, cancels that miss, two entries
//! with one `user_data`.

use std::collections::{HashMap, HashSet};

use super::{Fact, Found, Kind, Request, Rules, Scene, at};
use crate::codes::op;
use crate::decode::Completion;
use crate::names::{error_name, user_data};
use crate::ring_descriptors::RingId;

const MULTISHOT_ENDED: Kind = Kind::new("multishot-ended", "day3.html#losing-nobody");
const CANCEL_MISSES: Kind = Kind::new("cancel-misses", "time-and-cancellation.html#cancels");
const ONE_NAME: Kind = Kind::new("one-user-data-for-two", "day1.html#there-and-back");

/// How many values are remembered.
const MOST: usize = 1 << 16;

/// Two events this close to each other belong together.
const NEAR_US: u64 = 10_000;

/// A multishot that ended early.
#[derive(Debug)]
struct Ended {
    request: Request,
    res: i32,
    us: u64,
    /// The program has reaped that, and waited for something else since.
    waited: bool,
}

#[derive(Debug, Default)]
pub(super) struct Armed {
    ended: Vec<Ended>,
    /// When completions last waited for room, by ring.
    full_us: HashMap<RingId, u64>,
    /// The last entry that carried a value.
    names: HashMap<(RingId, u64), u64>,
    seen: HashSet<u64>,
}

impl Rules for Armed {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Submitted(request) => {
                self.ended.retain(|ended| !arms_again(request, &ended.request));
                self.named(request, scene, found);
            }
            Fact::Completed { request: Some(request), completion, .. } => {
                if request.entry.multishot() && ended_early(request, completion) {
                    let (request, res, us) = (request.clone(), completion.res, scene.us);
                    self.ended.push(Ended { request, res, us, waited: false });
                }
                if completion.error() == Some(libc::ENOENT) {
                    self.missed(request, scene, found);
                }
            }
            Fact::Returned { enter, queues, .. } => {
                if queues.overflow {
                    self.full_us.insert(scene.ring, scene.us);
                }
                one_name_in(enter.enter, scene, found);
            }
            Fact::Called { name: "close" | "shutdown", call, .. } => {
                let fd = Some(call.args[0] as i32);
                self.ended.retain(|ended| ended.request.fd() != fd);
            }
            Fact::Entering { enter, queues, .. }
                if enter.min_complete > 0 && queues.unreaped() == 0 =>
            {
                let here = self.ended.iter_mut().filter(|it| it.request.ring == scene.ring);
                here.for_each(|ended| ended.waited = true);
            }
            Fact::Still { .. } | Fact::Closing { .. } => {
                let still = matches!(fact, Fact::Still { .. });
                let deaf = still && scene.nothing_open();
                for ended in &self.ended {
                    let over = ended.waited && ended.request.ring == scene.ring;
                    if over && (ended.res >= 0 || ended.res == -libc::ETIME || deaf) {
                        let full = self
                            .full_us
                            .get(&scene.ring)
                            .is_some_and(|us| us.abs_diff(ended.us) < NEAR_US);
                        let why = if full { " when the completion queue was full" } else { "" };
                        let seen = format!(
                            "{}, a multishot, ended {} with {}{why} and without MORE, and was not \
                             armed again",
                            ended.request.name(),
                            at(ended.us),
                            if ended.res < 0 {
                                error_name(-ended.res)
                            } else {
                                ended.res.to_string()
                            }
                        );
                        found.say_once(
                            scene,
                            MULTISHOT_ENDED,
                            seen,
                            "It ends on a success, too, when the completion queue is full, and when \
                             buffers or files run out. Look at MORE in each completion, whatever \
                             its result: without it, submit the entry again.",
                        );
                    }
                }
                if !still {
                    self.ended.retain(|ended| ended.request.ring != scene.ring);
                }
            }
            _ => {}
        }
    }
}

/// Whether a multishot ended although its file had not: on a success, or because something ran out.
fn ended_early(request: &Request, completion: &Completion) -> bool {
    const GONE: i32 = (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL | libc::POLLRDHUP) as i32;
    if completion.has(crate::codes::cqe::MORE) {
        return false;
    }
    let wants = [libc::ENOBUFS, libc::ENFILE, libc::EMFILE, libc::ENOMEM, libc::EAGAIN];
    if completion.error().is_some_and(|error| wants.contains(&error)) {
        return true;
    }
    match request.entry.opcode {
        op::ACCEPT => completion.res >= 0,
        op::POLL_ADD => completion.res > 0 && completion.res & GONE == 0,
        op::RECV | op::RECVMSG | op::READ_MULTISHOT => completion.res > 0,
        // A multishot with a count ends after that many.
        op::TIMEOUT => completion.res == -libc::ETIME && request.entry.off == 0,
        _ => false,
    }
}

/// Two receives of one enter, both under way, that carry the same value. Reads are left out:
/// a program that reads many blocks at once may only count completions.
fn one_name_in(enter: u64, scene: &Scene<'_>, found: &mut Found) {
    let receives = [op::RECV, op::RECVMSG, op::ACCEPT, op::POLL_ADD, op::CONNECT];
    let its = |it: &&Request| {
        let alone = it.behind.is_none() && !it.entry.linked();
        it.enter == enter && alone && receives.contains(&it.entry.opcode)
    };
    let mut seen: HashMap<u64, &Request> = HashMap::new();
    for request in scene.open_here().filter(its).filter(|it| it.entry.user_data != 0) {
        match seen.insert(request.entry.user_data, request) {
            Some(other) if !request.same_file(other) => {
                return one_name(other, request, scene, found);
            }
            _ => {}
        }
    }
}

/// A cancel by descriptor names a descriptor where a slot is meant, or the other way round.
fn by_descriptor(request: &Request, scene: &Scene<'_>, found: &mut Found) {
    /// `IORING_ASYNC_CANCEL_FD` and `IORING_ASYNC_CANCEL_FD_FIXED`.
    const FD: u32 = 1 << 1;
    const FIXED: u32 = 1 << 3;
    let entry = &request.entry;
    if entry.opcode != op::ASYNC_CANCEL || entry.op_flags & FD == 0 {
        return;
    }
    let (fixed, number) = (entry.op_flags & FIXED != 0, entry.fd);
    let meant = scene.open_here().find(|it| match fixed {
        true => it.fd() == Some(number),
        false => it.slot() == Some(number as u32),
    });
    if let Some(meant) = meant {
        let kind = if fixed { "slot" } else { "descriptor" };
        found.say(
            scene,
            CANCEL_MISSES,
            format!(
                "{} looked for {kind} {number} and found nothing; {} is under way",
                request.name(),
                meant.name()
            ),
            "A slot is looked for with IORING_ASYNC_CANCEL_FD_FIXED beside IORING_ASYNC_CANCEL_FD, a \
             descriptor without.",
        );
    }
}

fn one_name(one: &Request, other: &Request, scene: &Scene<'_>, found: &mut Found) {
    found.say_once(
        scene,
        ONE_NAME,
        format!(
            "{} and {} are in flight at once, both with user_data {}",
            one.name(),
            other.name(),
            user_data(one.entry.user_data)
        ),
        "Their completions cannot be told apart, and a cancel by that value may end the wrong one. \
         Give each entry in flight its own value.",
    );
}

/// Whether it ends other entries.
fn cancels(opcode: u8) -> bool {
    [op::ASYNC_CANCEL, op::POLL_REMOVE, op::TIMEOUT_REMOVE].contains(&opcode)
}

fn arms_again(request: &Request, ended: &Request) -> bool {
    let same = [op::CLOSE, ended.entry.opcode].contains(&request.entry.opcode);
    same && request.ring == ended.ring && request.same_file(ended)
}

impl Armed {
    /// Another entry under way carries the same value.
    fn named(&mut self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        let value = request.entry.user_data;
        if self.seen.len() < MOST && !cancels(request.entry.opcode) {
            self.seen.insert(value);
        }
        let waits = |request: &Request| {
            let entry = &request.entry;
            let long = [op::ACCEPT, op::POLL_ADD, op::CONNECT, op::TIMEOUT];
            (entry.takes() || entry.gives() || long.contains(&entry.opcode))
                && request.answers == 0
                && request.behind.is_none()
                && !entry.linked()
        };
        if self.names.len() > MOST {
            self.names.clear();
        }
        let last = self.names.insert((request.ring, value), request.seq);
        let other = last.and_then(|seq| scene.open.get(&seq));
        let Some(other) = other.filter(|_| value != 0) else { return };
        let differ = !request.same_file(other) || request.entry.opcode != other.entry.opcode;
        if differ && other.enter != request.enter && waits(other) && waits(request) {
            one_name(other, request, scene, found);
        }
    }

    fn missed(&self, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        const BY_OTHER_MEANS: u32 = !1;
        by_descriptor(request, scene, found);
        let opcode = request.entry.opcode;
        let by_name = opcode != op::ASYNC_CANCEL || request.entry.op_flags & BY_OTHER_MEANS == 0;
        if !cancels(opcode) || !by_name {
            return;
        }
        let value = request.entry.addr;
        let target = scene.open.values().find(|other| other.entry.user_data == value);
        let name =
            format!("{} looked for user_data {} and found", request.name(), user_data(value));
        match target {
            Some(target) if target.ring != request.ring => found.say(
                scene,
                CANCEL_MISSES,
                format!("{name} nothing; {} carries it, in ring {}", target.name(), target.ring),
                "A cancel looks only into its own ring.",
            ),
            Some(target) if target.behind.is_some() => found.say(
                scene,
                CANCEL_MISSES,
                format!("{name} nothing, though {} carries it", target.name()),
                "An entry that is linked and has not started is not found. Cancel the one before it \
                 in the chain: what is behind it ends, too.",
            ),
            None if self.seen.len() < MOST && !self.seen.contains(&value) => found.say(
                scene,
                CANCEL_MISSES,
                format!("{name} nothing; no entry ever carried it"),
                "A cancel names the user_data of the entry that it ends, not its own, and not a \
                 descriptor unless IORING_ASYNC_CANCEL_FD is set.",
            ),
            _ => {}
        }
    }
}
