//! A run for Perfetto and Chrome's trace viewer, in the JSON format that both open.
//!
//! Source: "Trace Event Format", the document of the Chromium project that Perfetto refers to. A
//! ring is shown as a process: operations overlap, so each is an asynchronous slice (`b` and `e`
//! with an id), and those that ran in the kernel's worker pool stand in a separate process.
//! Each thread of the program has its enters (`X`). Times are microseconds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::event::{Complete, Enter, Event, Submit, What};
use super::ran::Place;

/// Numbers of the processes that stand for rings begin here, above those of real ones.
const RINGS: u64 = 10_000_000;

/// Those that stand for the workers of a ring.
const WORKERS: u64 = 20_000_000;

/// The events of a run.
pub fn trace(program: &str, events: &[Event]) -> Value {
    let mut view = View::default();
    for event in events {
        view.take(event);
    }
    view.name(0, program);
    json!({"displayTimeUnit": "ns", "traceEvents": view.finish()})
}

/// What is under way, and which names were written so far.
#[derive(Default)]
struct View<'run> {
    said: Vec<Value>,
    /// Entries in flight, by ring and number: when they began.
    flying: BTreeMap<(u32, u64), (u64, &'run Submit)>,
    /// Enters that have not returned, by thread.
    inside: BTreeMap<i32, (u64, &'run Enter)>,
    rings: BTreeSet<u32>,
    with_workers: BTreeSet<u32>,
    last: u64,
}

impl<'run> View<'run> {
    fn take(&mut self, event: &'run Event) {
        let Event { us, tid, what } = event;
        self.last = self.last.max(*us);
        match what {
            What::Submit(submit) => {
                self.rings.insert(submit.ring);
                self.flying.insert((submit.ring, submit.seq), (*us, submit));
            }
            What::Complete(complete) => self.complete(*us, complete),
            What::Enter(enter) => _ = self.inside.insert(*tid, (*us, enter)),
            What::Return(back) => {
                if let Some((began, enter)) = self.inside.remove(tid) {
                    let end = began + back.inside_us;
                    self.enter(*tid, began, end, enter, Some(back.result));
                }
            }
            What::Workers(workers) => self.said.push(json!({
                "ph": "C", "name": "io-wq workers", "pid": workers.pid, "ts": us,
                "args": {"workers": workers.count},
            })),
            _ => {}
        }
    }

    /// An answer, which ends the slice of its entry unless more will come.
    fn complete(&mut self, us: u64, complete: &Complete) {
        let key = complete.seq.map(|seq| (complete.ring, seq));
        let Some((began, submit)) = key.and_then(|key| self.flying.get(&key).copied()) else {
            return;
        };
        let args = json!({"result": complete.words, "flags": complete.flags});
        if complete.more {
            self.slice("n", us, submit, RINGS, args);
            return;
        }
        // The time that the tracer measured; it begins with the enter that took the entry.
        let began = complete.after_us.map_or(began, |after| us.saturating_sub(after));
        let in_a_worker = complete.ran.is_some_and(|ran| ran.place == Place::Worker);
        let track = if in_a_worker { WORKERS } else { RINGS };
        if in_a_worker {
            self.with_workers.insert(submit.ring);
        }
        let asked = json!({"entry": submit.seq, "asks": submit.words, "flags": submit.flags,
            "user_data": submit.meaning, "ran": complete.ran.map(|ran| ran.place.name())});
        self.slice("b", began, submit, track, asked);
        self.slice("e", us, submit, track, args);
        self.flying.remove(&(submit.ring, submit.seq));
    }

    fn slice(&mut self, phase: &str, us: u64, submit: &Submit, track: u64, args: Value) {
        self.said.push(json!({
            "ph": phase, "cat": format!("ring {}", submit.ring), "name": submit.op, "ts": us,
            "id": format!("{}.{}", submit.ring, submit.seq), "pid": track + u64::from(submit.ring),
            "tid": 0, "args": args,
        }));
    }

    fn enter(&mut self, tid: i32, began: u64, end: u64, enter: &Enter, result: Option<i64>) {
        let args = json!({"to_submit": enter.to_submit, "min_complete": enter.min_complete,
            "flags": enter.flags, "result": result});
        self.said.push(json!({
            "ph": "X", "name": "io_uring_enter", "pid": 0, "tid": tid, "ts": began,
            "dur": end.saturating_sub(began), "args": args,
        }));
    }

    fn name(&mut self, pid: u64, name: &str) {
        let args = json!({"name": name});
        self.said.push(json!({"ph": "M", "name": "process_name", "pid": pid, "args": args}));
    }

    /// Slices that never ended are shown until the end of the run.
    fn finish(mut self) -> Vec<Value> {
        for (began, submit) in std::mem::take(&mut self.flying).into_values() {
            let asked = json!({"entry": submit.seq, "asks": submit.words,
                "user_data": submit.meaning, "never": "completed"});
            self.slice("b", began, submit, RINGS, asked);
            self.slice("e", self.last, submit, RINGS, json!({}));
        }
        for (tid, (began, enter)) in std::mem::take(&mut self.inside) {
            self.enter(tid, began, self.last, enter, None);
        }
        for ring in std::mem::take(&mut self.rings) {
            self.name(RINGS + u64::from(ring), &format!("ring {ring}"));
        }
        for ring in std::mem::take(&mut self.with_workers) {
            self.name(WORKERS + u64::from(ring), &format!("ring {ring}: in a worker"));
        }
        self.said.sort_by_key(|said| said["ts"].as_u64());
        self.said
    }
}
