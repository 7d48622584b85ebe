//! Explains a hang that the tracer found, as a verdict.

use ringtrace::event::What;
use ringtrace::hang::{Done, Place};
use ringtrace::ring::RingNow;

pub use ringtrace::hang::{Kind, Stillness};
pub use ringtrace::threads::{cpu, sleeps};

use super::failure::Failure;
use super::ids;
use super::record::Record;

fn of_interest(what: &What) -> bool {
    matches!(what, What::Enter(_) | What::Submit(_) | What::Complete(_) | What::Register(_))
}

/// The failure for a hang.
pub fn explain(record: &Record, rings: &[RingNow], pid: u32, kind: Kind) -> Failure {
    let printed = record.stdout.len() + record.stderr.len();
    let done = Done { events: &record.events, summary: &record.summary, printed };
    let hang = ringtrace::hang::explain(&done, rings, pid, kind);
    let mut kernel = record.last_lines(of_interest);
    // Its rings show nothing, so this is where the program was seen.
    if kernel.is_empty()
        && matches!(hang.place, Place::Call | Place::Spin)
        && !matches!(kind, Kind::Endless | Kind::Stopped)
    {
        kernel.push("nothing went through a ring so far".to_string());
    }
    kernel.push(format!("now: {}", hang.now));
    let id = match hang.place {
        Place::Wait => ids::HANG_WAIT,
        Place::InFlight => ids::HANG_IN_FLIGHT,
        Place::Pushed => ids::HANG_PUSHED,
        Place::NotReaped => ids::HANG_NOT_REAPED,
        Place::Call => ids::HANG_CALL,
        Place::Spin => ids::SPIN,
    };
    record.fail(id).kernel(kernel).rule(hang.rule)
}
