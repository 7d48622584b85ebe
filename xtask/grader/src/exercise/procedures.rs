//! The check of an exercise, in the exercise's folder: a `check.toml` is a value, a [`Plan`]; a
//! `check.rs` is a procedure and a submodule of this module. `build.rs` lists the procedures.

use std::sync::Arc;

use super::attempt::Attempt;
use super::failure::{Failure, Passed};
use super::plan::Plan;

/// A check.
#[derive(Clone)]
pub enum Check {
    /// A `check.rs`.
    Procedure(Procedure),
    /// A `check.toml`.
    Plan(Arc<Plan>),
}

/// The entry point of a `check.rs`.
pub type Procedure = fn(&Attempt) -> Result<Passed, Failure>;

include!(concat!(env!("OUT_DIR"), "/checks.rs"));

/// The `check.rs` of an exercise, if this tool was built with one.
pub fn procedure(name: &str) -> Option<Procedure> {
    PROCEDURES.iter().find(|(known, _)| *known == name).map(|(_, check)| *check)
}

impl Check {
    /// Checks a program.
    ///
    /// # Errors
    /// Why it does not pass.
    pub fn run(&self, attempt: &Attempt) -> Result<Passed, Failure> {
        match self {
            Check::Procedure(check) => check(attempt),
            Check::Plan(plan) => plan.check(attempt),
        }
    }

    /// The plan, if the check is one.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Check::Procedure(_) => None,
            Check::Plan(plan) => Some(plan),
        }
    }
}
