//! `cargo xtask exercise`: the exercises, for scripts, and the base of `learn` and `class`.
//!
//! From the commands down; none knows one above it:
//!
//! - [`cli`]: the command; [`verify`] proves the exercises themselves, [`new`] makes the folder of
//!   one; [`variants`]: other answers to an exercise, as edits;
//! - [`backup`]: resets; [`progress`]: the learner's progress; [`workbook`]: the learner's folder;
//! - [`check`]: one check from its program to its [`verdict`], for people and scripts;
//! - [`folders`]: the folders of exercises, the days' or a teacher's; [`exercises`]: an exercise and
//!   its files;
//! - [`procedures`]: the check of an exercise, which is a procedure or a [`plan`], a value;
//!   [`prelude`] and [`checks`]: what procedures use, and the common parts of all checks;
//! - [`attempt`]: a program to check; [`unwatched`] runs it without a tracer; [`measure`]: its cost;
//! - [`run`]: a run under the tracer, [`launch`]: one that is being prepared; [`hang`] explains a
//!   hang; [`record`]: what a run leaves;
//! - [`failure`] and [`ids`]: the result of a check; [`cost`]: the cost of a program, as a value;
//! - on the ground: [`compile`], with Cargo; [`book`], places in it; [`paint`] and [`markdown`], texts
//!   on a terminal; [`printed`], a program's output; [`others`], processes that a run leaves behind;
//!   [`near`], suggestions for a name.

pub mod attempt;
pub mod backup;
pub mod book;
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
pub mod launch;
pub mod markdown;
pub mod measure;
mod near;
mod new;
pub mod others;
pub mod paint;
pub mod plan;
mod prelude;
mod printed;
pub mod procedures;
pub mod progress;
pub mod record;
pub mod run;
mod unwatched;
pub mod variants;
pub mod verdict;
pub mod verify;
pub mod workbook;

pub use cli::{Options, main};
