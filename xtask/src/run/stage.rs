//! What a day is given when it runs.

use std::path::Path;
use std::time::Duration;

use super::narration::Narrator;

/// What a day needs to run.
pub struct Stage<'a> {
    /// Its name.
    pub day: &'static str,
    /// Its program.
    pub program: &'a Path,
    /// Prints what happens.
    pub narrator: &'a mut Narrator,
    /// How long anything may take.
    pub patience: Duration,
    /// Setup flags that the kernel refused the day, as its words say.
    pub dropped: Vec<String>,
}
