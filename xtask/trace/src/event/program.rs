//! The program and its tasks: they begin, are joined, and end.

use serde::Serialize;

/// The program starts, or a process of it became another program.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Start {
    /// The process.
    pub pid: i32,
    /// The program's path.
    pub program: String,
}

/// The tracer joins a process that runs already.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Attach {
    /// The process.
    pub pid: i32,
    /// The program's path.
    pub program: String,
    /// Its threads, without those that the kernel runs for it.
    pub threads: u32,
}

/// The tracer lets go of a process that it had joined. The process goes on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LetGo {
    /// The process.
    pub pid: i32,
    /// Its threads at that moment.
    pub threads: u32,
}

/// A process or thread begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Task {
    /// The new thread; for a process its first.
    pub new: i32,
    /// Whether it is a separate process.
    pub process: bool,
}

/// A process ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exit {
    /// The process.
    pub pid: i32,
    /// Its exit status, or 128 and the signal that killed it.
    pub status: i32,
    /// The signal's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}
