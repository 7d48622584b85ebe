//! `cargo xtask exercise`: the exercises, for scripts, and the base of `learn` and `class`.
//!
//! - [`exercises`]: an exercise and its files; [`folders`]: the folders of exercises, the days' or
//!   a teacher's; [`variants`]: other answers, as edits; [`book`]: places in the book;
//! - [`procedures`]: a check, which is a procedure or a [`plan`], a value; [`checks`]: the common
//!   parts of the checks; [`check`]: one check from its program to its verdict;
//! - [`workbook`]: the learner's folder; [`progress`]: the learner's progress; [`backup`]: resets;
//!   [`compile`]: compiling with Cargo;
//! - [`attempt`]: a program to check; [`launch`]: a run of it that is being prepared; [`run`]: the
//!   run, under the tracer; [`record`]: the record of that run; [`hang`] explains a hang;
//!   `unwatched` is a run without a tracer; [`others`]: the processes that a run leaves behind;
//! - [`failure`] and [`ids`]: the result of a check; [`cost`]: the cost of a passing program, and
//!   [`measure`] measures it; [`verdict`]: all of them, for people and scripts;
//! - [`new`] makes the folder of a new exercise; [`verify`] proves the exercises themselves.

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
