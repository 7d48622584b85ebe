//! What decides whether an exercise is passed, by the kernel's record, by `/proc` and by what
//! clients experience. Never by the program's text.
//!
//! A check lies in its exercise's folder. A `check.toml` is a value, a [`Plan`]; a `check.rs` is a
//! procedure and a module of this one, and `build.rs` lists them. What those have in common is here:
//! [`nops`] that carry tags, what was [`written`], [`clients`] of a server, what it [`served`] them
//! and what is [`left`] when they have gone, [`tokens`], a [`fifo()`].

pub mod clients;
mod fifo;
pub mod flight;
pub mod late_close;
pub mod left;
pub mod nops;
pub mod served;
mod tokens;
pub mod written;

use std::sync::Arc;

pub use fifo::fifo;

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

/// What a `check.rs` has.
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

    /// The plan, if it is one.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Check::Procedure(_) => None,
            Check::Plan(plan) => Some(plan),
        }
    }
}
