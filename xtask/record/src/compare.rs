//! Whether two recordings show the same events.
//!
//! The order of entries and of completions within one enter is up to the kernel, and so is the
//! buffer that it picks. Sizes of tables depend on the machine's limits.

use std::collections::HashMap;

use ringtrace::player::captions;
use ringtrace::player::recording::{self, Completion, Kind, Recording, Shape, Step};

/// The first step in which two recordings differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Numbered from 1; 0 for the part before the steps.
    pub step: usize,
    /// What the recording says there.
    pub recorded: String,
    /// What the new run says there.
    pub fresh: String,
}

/// The setup flags and sizes that the recording shows and this kernel did not grant.
pub fn lacks(recorded: &Recording, fresh: &[Shape]) -> Vec<String> {
    let (Some(recorded), Some(fresh)) = (recorded.rings.first(), fresh.first()) else {
        return Vec::new();
    };
    let missing = |flag: &&String| !fresh.flags.contains(flag);
    // A polling thread is bound to a CPU if that is possible.
    let counts = |flag: &&String| *flag != "SQ_AFF";
    recorded.flags.iter().filter(missing).filter(counts).cloned().collect()
}

/// Contradictions within one recording: words that do not fit their step, counts that do not fit
/// the steps.
pub fn contradiction(recorded: &Recording) -> Option<Difference> {
    for (step, number) in recorded.steps.iter().zip(1..) {
        let words = match step.kind {
            Kind::Push => captions::push(&step.entries),
            Kind::Complete => captions::complete(&step.completions),
            Kind::Reap => captions::reap(step.reaps),
            _ => continue,
        };
        if words != step.say {
            return Some(Difference { step: number, recorded: step.say.clone(), fresh: words });
        }
    }
    let counts = recording::counts(&recorded.steps);
    let told = |counts| format!("counts {counts:?}");
    (counts != recorded.counts).then(|| Difference {
        step: recorded.steps.len(),
        recorded: told(&recorded.counts),
        fresh: told(&counts),
    })
}

/// The part before the steps: the title, the command, the ring's sizes.
fn head(recording: &Recording) -> String {
    let Recording { name, title, program, command, rings, .. } = recording;
    let sizes: Vec<_> = rings.iter().map(|ring| (ring.sq_entries, ring.cq_entries)).collect();
    format!("{name}, \"{title}\", {program}, `{command}`, entries {sizes:?}")
}

/// Compares two recordings; `None` if they match.
pub fn difference(recorded: &Recording, fresh: &Recording) -> Option<Difference> {
    if head(recorded) != head(fresh) {
        return Some(Difference { step: 0, recorded: head(recorded), fresh: head(fresh) });
    }
    let (before, after) = (canonical(&recorded.steps), canonical(&fresh.steps));
    let both = before.len().max(after.len());
    let at = (0..both).find(|at| before.get(*at) != after.get(*at))?;
    let words = |steps: &[Step]| {
        steps.get(at).map_or_else(|| "(the end)".to_string(), |step| step.say.clone())
    };
    Some(Difference { step: at + 1, recorded: words(&recorded.steps), fresh: words(&fresh.steps) })
}

/// The steps, with everything that may differ made equal.
fn canonical(steps: &[Step]) -> Vec<Step> {
    let mut numbers: HashMap<u64, u64> = HashMap::new();
    let mut steps = steps.to_vec();
    for step in &mut steps {
        // The words of these steps repeat the other fields, in their order.
        if matches!(step.kind, Kind::Push | Kind::Complete) {
            step.say.clear();
        }
        step.say = without_numbers(&step.say);
        let key = |entry: &super::recording::Entry| {
            (entry.op.clone(), entry.token.clone(), entry.what.clone())
        };
        let first = step.entries.iter().map(|entry| entry.seq).min().unwrap_or_default();
        step.entries.sort_by_key(key);
        for (number, entry) in (first..).zip(&mut step.entries) {
            numbers.insert(entry.seq, number);
            entry.seq = number;
        }
        let number = |seq: &u64| numbers.get(seq).copied().unwrap_or_default();
        step.takes = step.takes.iter().map(number).collect();
        step.takes.sort_unstable();
        for completion in &mut step.completions {
            completion.seq = number(&completion.seq);
            completion.result = without_buffer(&completion.result);
        }
        let key = |completion: &Completion| (completion.seq, completion.result.clone());
        step.completions.sort_by_key(key);
    }
    steps
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// `5 bytes in buffer 3 …` without the buffer's number.
fn without_buffer(result: &str) -> String {
    let Some((before, after)) = result.split_once("buffer ") else { return result.to_string() };
    format!("{before}buffer {}", after.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}
