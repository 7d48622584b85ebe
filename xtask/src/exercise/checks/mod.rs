//! What decides whether an exercise is passed: one small file each, by the kernel's record, by
//! `/proc` and by what clients experience. Never by the program's text.
//!
//! To add one: a folder `dayNN/exercises/NAME`, a file here, a line in its day's list.

mod clients;
pub mod day1;
pub mod day2;
pub mod day3;
pub mod day4;
mod nops;
mod tokens;
mod written;

use super::attempt::Attempt;
use super::failure::{Failure, Passed};

/// A check.
pub type Check = fn(&Attempt) -> Result<Passed, Failure>;

/// The check of an exercise.
pub fn of(name: &str) -> Option<Check> {
    let days = [day1::CHECKS, day2::CHECKS, day3::CHECKS, day4::CHECKS];
    days.into_iter().flatten().find(|(known, _)| *known == name).map(|(_, check)| *check)
}
