//! Day 1's checks.

use super::Check;

mod first_nop;

/// By the names of the exercises.
pub const CHECKS: &[(&str, Check)] = &[("first_nop", first_nop::check)];
