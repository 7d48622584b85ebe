//! The clients of a server, as its ring served them.

use std::collections::HashMap;

use serde_json::Value;

use super::moved::{count, gives, silent, source, takes, target};
use super::{Record, Target};
use ringtrace::event::{Complete, Submit, What};

/// A client, from its accept to the close of its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The ring.
    pub ring: u32,
    /// Its slot or descriptor.
    pub at: Target<'static>,
    /// When its accept completed, in microseconds of the record's clock.
    pub came: u64,
    /// When an entry closed its slot; `None` if none did.
    pub left: Option<u64>,
    /// Bytes that entries received from it.
    pub received: u64,
    /// Bytes that entries sent to it.
    pub sent: u64,
}

impl Served {
    fn new(complete: &Complete, at: Target<'static>, came: u64) -> Served {
        Served { ring: complete.ring, at, came, left: None, received: 0, sent: 0 }
    }
}

/// The slot that a completion filled, chosen by the program or by the kernel. `None` for a
/// descriptor, or if no slot was filled.
pub fn filled(submit: &Submit, complete: &Complete) -> Option<u32> {
    let chosen = submit.details.get("into_slot").filter(|_| complete.res >= 0)?;
    Some(chosen.as_u64().map_or(complete.res as u32, |slot| slot as u32))
}

/// The slots that an entry empties, by a CLOSE or by a FILES_UPDATE with -1.
fn emptied(submit: &Submit) -> Vec<u32> {
    let number = |key: &str| submit.details.get(key).and_then(Value::as_u64);
    match submit.op.as_str() {
        "CLOSE" => number("slot").map(|slot| slot as u32).into_iter().collect(),
        "FILES_UPDATE" => {
            let fds = submit.details.get("fds").and_then(Value::as_array);
            let (Some(first), Some(fds)) = (number("offset"), fds) else { return Vec::new() };
            let empty = fds.iter().zip(first as u32..).filter(|(fd, _)| fd.as_i64() == Some(-1));
            empty.map(|(_, slot)| slot).collect()
        }
        _ => Vec::new(),
    }
}

impl Record {
    /// The entries by their numbers.
    pub fn by_seq(&self) -> HashMap<u64, &Submit> {
        self.submits().map(|submit| (submit.seq, submit)).collect()
    }

    /// The clients that a ring accepted, in order.
    pub fn served(&self) -> Vec<Served> {
        let entries = self.by_seq();
        let mut all: Vec<Served> = Vec::new();
        // The client in each slot, and the client of each entry.
        let mut seats: HashMap<(u32, Target<'static>), usize> = HashMap::new();
        let mut sends: HashMap<u64, usize> = HashMap::new();
        let mut receives: HashMap<u64, usize> = HashMap::new();
        for event in &self.events {
            match &event.what {
                What::Submit(submit) => {
                    let seat =
                        |at: Option<Target<'static>>| seats.get(&(submit.ring, at?)).copied();
                    if let Some(client) = seat(target(submit)).filter(|_| gives(submit)) {
                        sends.insert(submit.seq, client);
                    }
                    if let Some(client) = seat(source(submit)).filter(|_| takes(submit)) {
                        receives.insert(submit.seq, client);
                    }
                    if silent(submit) {
                        leave(submit, event.us, &mut seats, &mut all);
                    }
                }
                What::Complete(complete) => {
                    let Some(seq) = complete.seq else { continue };
                    let bytes = count(complete);
                    if let Some(client) = sends.get(&seq) {
                        all[*client].sent += bytes;
                    }
                    if let Some(client) = receives.get(&seq) {
                        all[*client].received += bytes;
                    }
                    let Some(submit) = entries.get(&seq).filter(|_| complete.res >= 0) else {
                        continue;
                    };
                    if submit.op == "ACCEPT" {
                        let fd = Target::Fd(complete.res);
                        let at = filled(submit, complete).map_or(fd, Target::Slot);
                        seats.insert((complete.ring, at), all.len());
                        all.push(Served::new(complete, at, event.us));
                    } else {
                        leave(submit, event.us, &mut seats, &mut all);
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// The slots that an accept filled last, or after the first accept a SOCKET: slots of clients,
    /// not of a listener. Includes closed ones.
    pub fn slots_of_clients(&self) -> Vec<u32> {
        let entries = self.by_seq();
        let mut slots: HashMap<u32, bool> = HashMap::new();
        let mut came = false;
        for complete in self.completes() {
            let Some(submit) = complete.seq.and_then(|seq| entries.get(&seq)) else { continue };
            let accept = submit.op == "ACCEPT" && complete.res >= 0;
            came |= accept;
            if let Some(slot) = filled(submit, complete) {
                slots.insert(slot, accept || came && submit.op == "SOCKET");
            }
        }
        slots.into_iter().filter(|(_, client)| *client).map(|(slot, _)| slot).collect()
    }

    /// The slots that entries emptied. An entry that posts a completion only on failure counts if
    /// it posted none.
    pub fn slots_emptied(&self) -> Vec<u32> {
        let done = |submit: &&Submit| match self.answers(submit.seq).as_slice() {
            [] => silent(submit),
            answers => answers.iter().any(|answer| answer.res >= 0),
        };
        self.submits().filter(done).flat_map(emptied).collect()
    }

    /// Slots that were closed while another operation on them was in flight, which a close does not
    /// end. Returns the CLOSE and that operation, which completed later or never. Entries that post
    /// a completion only on failure are left out.
    pub fn closed_under(&self) -> Vec<(&Submit, &Submit)> {
        let entries = self.by_seq();
        let mut open: HashMap<u64, &Submit> = HashMap::new();
        let mut found = Vec::new();
        for event in &self.events {
            match &event.what {
                What::Submit(submit) if !silent(submit) => _ = open.insert(submit.seq, submit),
                What::Complete(complete) => {
                    let Some(seq) = complete.seq else { continue };
                    if !complete.more {
                        open.remove(&seq);
                    }
                    let Some(close) = entries.get(&seq).filter(|_| complete.res >= 0) else {
                        continue;
                    };
                    for slot in emptied(close) {
                        let at = Some(Target::Slot(slot));
                        let on_it = |other: &&&Submit| {
                            let moves = gives(other) || takes(other);
                            other.ring == close.ring && moves && target(other) == at
                        };
                        found.extend(open.values().filter(on_it).map(|other| (*close, *other)));
                    }
                }
                _ => {}
            }
        }
        found
    }
}

/// Notes the end of the clients whose slots an entry empties.
fn leave(
    submit: &Submit,
    us: u64,
    seats: &mut HashMap<(u32, Target<'static>), usize>,
    all: &mut [Served],
) {
    let fd = submit.details.get("fd").and_then(Value::as_i64);
    let fd = fd.filter(|_| submit.op == "CLOSE").map(|fd| Target::Fd(fd as i32));
    for at in emptied(submit).into_iter().map(Target::Slot).chain(fd) {
        if let Some(client) = seats.remove(&(submit.ring, at)) {
            all[client].left = Some(us);
        }
    }
}
