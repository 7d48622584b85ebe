//! The tracer's output: a sequence of [`Event`]s. Each is one line of the JSON output.
//!
//! `schema.json` beside this file is generated from these types and their comments. Times are
//! microseconds since the trace began. `user_data` and addresses are hexadecimal strings, for a
//! JSON number holds 53 bits.

mod crossing;
mod diagnosis;
mod program;
mod ring;

use serde::Serialize;

pub use crossing::{Complete, Enter, Return, Submit, Unseen};
pub use diagnosis::Diagnosis;
pub use program::{Attach, Exit, LetGo, Start, Task};
pub use ring::{Before, Close, Found, Granted, Left, Poller, Register, Setup, Workers};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// Microseconds since the trace began; never less than in the event before. For an entry it is
    /// the time of the enter that offered it, for a completion the time when the tracer noticed it.
    pub us: u64,
    /// The thread that did it. For an entry the thread that offered it; for a completion the thread
    /// in whose call it was noticed; 0 if the tracer noticed it while it looked by itself.
    pub tid: i32,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events. `ring` numbers the rings of a trace from 1.
#[allow(missing_docs, reason = "each holds the type of its name, which has the words")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    Start(Start),
    Attach(Attach),
    Found(Found),
    Setup(Setup),
    Register(Register),
    Enter(Enter),
    Submit(Submit),
    Complete(Complete),
    Return(Return),
    Unseen(Unseen),
    Poller(Poller),
    Workers(Workers),
    Close(Close),
    Task(Task),
    Exit(Exit),
    Diagnosis(Diagnosis),
    LetGo(LetGo),
}
