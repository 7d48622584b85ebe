//! Joining a process that has rings already, and letting go of it.

use common::catalog;
use libc::pid_t;

use super::Watch;
use crate::codes::setup;
use crate::event::{self, Before, What};
use crate::names::{hex, names, operation, why_not_followed};
use crate::ring::{FdInfo, Ring};
use crate::ring_descriptors::RingId;

/// The setup flags that show from outside.
const SHOWN: u32 =
    setup::SQPOLL | setup::SQE128 | setup::CQE32 | setup::NO_MMAP | setup::NO_SQARRAY;

impl Watch {
    /// A process was joined that had this ring. Returns its number, if it can be followed.
    pub fn found(
        &mut self,
        owner: pid_t,
        fds: Vec<i32>,
        info: &FdInfo,
        ring: std::io::Result<Ring>,
    ) -> Option<RingId> {
        self.summary.rings += 1;
        let mut told = event::Found {
            fds,
            sq_entries: info.sq_entries.unwrap_or(0),
            cq_entries: info.cq_entries.unwrap_or(0),
            slots: info.slots,
            buffers: info.buffers,
            armed: info.armed.iter().map(|code| operation(*code)).collect(),
            ..Default::default()
        };
        match ring {
            Ok(ring) => {
                told.flags = names(&catalog::SETUP_FLAGS, ring.params.flags & SHOWN);
                told.concluded = ring.is_in_doubt();
                let (taken, posted) = ring.before();
                // Multishots bring more completions than entries.
                let in_flight = taken.wrapping_sub(posted);
                told.in_flight = (in_flight as i32 >= 0).then_some(in_flight);
                let in_flight = told.in_flight.unwrap_or(0);
                let entries = ring.taken_before();
                self.summary.before += u64::from(in_flight).saturating_sub(entries.len() as u64);
                let id = self.follow(owner, ring);
                // As many completions as entries, and no poll: nothing is under way.
                if told.in_flight != Some(0) || !info.armed.is_empty() {
                    self.doctor.older(id);
                }
                told.ring = Some(id);
                for entry in entries {
                    self.last_seq += 1;
                    let words = self.blindly(&entry).words();
                    told.entries.push(Before {
                        seq: self.last_seq,
                        op: operation(entry.opcode),
                        user_data: hex(entry.user_data),
                        meaning: self.meaning(entry.user_data, Some(entry.opcode)),
                        words: words.clone(),
                    });
                    if let Some(followed) = self.rings.get_mut(&id) {
                        followed.in_flight.was_submitted(self.last_seq, entry, &words);
                    }
                }
            }
            Err(error) => {
                let reason = why_not_followed(&error);
                *self.summary.not_followed.entry(reason.clone()).or_default() += 1;
                told.not_followed = Some(reason);
            }
        }
        let ring = told.ring;
        self.tell(owner, What::Found(told));
        ring
    }

    /// A task that slept in an enter when it was joined has left it. The end of that enter was not
    /// seen.
    pub fn woke(&mut self, tid: pid_t) {
        self.leave(tid);
    }

    /// The rings of a process that have this many entries to submit.
    pub fn with_entries(&self, process: pid_t, to_submit: u32) -> Vec<RingId> {
        let theirs = self.rings.iter().filter(|(_, followed)| followed.owner == process);
        theirs
            .filter(|(_, followed)| followed.ring.waiting_entries() >= to_submit)
            .map(|(id, _)| *id)
            .collect()
    }

    /// The addresses of a process's rings that lie in its own memory.
    pub fn own_memory(&self, process: pid_t) -> Vec<u64> {
        let theirs = self.rings.values().filter(|followed| followed.owner == process);
        theirs.map(|followed| followed.ring.params.cq().user_addr).filter(|at| *at != 0).collect()
    }

    /// Whether a ring has fewer completions than an enter waits for; no more than the queue
    /// holds. An enter of an IOPOLL ring looks at the device and may return with fewer.
    pub fn lacks(&self, ring: RingId, min_complete: u64) -> bool {
        self.rings.get(&ring).is_some_and(|followed| {
            let most = followed.ring.params.cq_entries.into();
            !followed.ring.params.has(setup::IOPOLL)
                && u64::from(followed.ring.unreaped()) < min_complete.min(most)
        })
    }

    /// The tracer lets go of all rings; the program continues with them.
    pub fn let_go(&mut self, pid: pid_t, threads: u32) {
        self.summary.let_go = true;
        for tid in self.inside.keys().copied().collect::<Vec<_>>() {
            self.task_gone(tid);
        }
        for id in self.followed() {
            self.look(0, id);
            let Some(followed) = self.rings.remove(&id) else { continue };
            let armed = followed.in_flight.armed();
            for flight in armed {
                let mut armed = self.armed(id, &flight);
                if flight.before {
                    armed.words += ", from before: perhaps";
                }
                self.summary.armed.push(armed);
            }
        }
        self.tell(0, What::LetGo(event::LetGo { pid, threads }));
        self.flush();
    }
}
