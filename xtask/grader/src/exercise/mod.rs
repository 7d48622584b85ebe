//! `cargo xtask exercise`: the exercises, for scripts, and what `learn` and `class` build on.
//!
//! - [`exercises`]: one of them and its files; [`folders`]: where they lie, the days' or a
//!   teacher's; [`variants`]: other answers, as edits; [`checks`]: what decides, one file each;
//! - [`plan`]: a check as a value, which `check.toml` is; a `check.rs` is a procedure;
//! - [`workbook`]: the learner's folder; [`progress`]: what was done in it; [`backup`]: fresh
//!   starts; [`compile`]: Cargo, asked to build in it;
//! - [`attempt`] runs a program, [`run`] is one run of it, [`record`] what was seen of it,
//!   [`hang`] why it does not go on, `unwatched` a run without a tracer;
//! - [`failure`] and [`ids`]: what a check answers; [`cost`]: what a program that passes takes;
//!   [`verdict`]: all that for people and scripts;
//! - [`new`] makes a folder for one more; [`verify`] proves the exercises themselves.

pub mod attempt;
pub mod backup;
pub mod check;
pub mod checks;
mod cli;
pub mod compile;
pub mod cost;
pub mod exercises;
pub mod failure;
pub mod folders;
pub mod hang;
pub mod ids;
pub mod markdown;
mod new;
pub mod plan;
mod prelude;
mod printed;
pub mod progress;
pub mod record;
pub mod run;
mod unwatched;
pub mod variants;
pub mod verdict;
pub mod verify;
pub mod workbook;

pub use cli::{Options, main};
