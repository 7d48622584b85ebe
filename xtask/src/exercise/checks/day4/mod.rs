//! Day 4's checks.

use super::Check;

/// By the names of the exercises.
pub const CHECKS: &[(&str, Check)] = &[];
