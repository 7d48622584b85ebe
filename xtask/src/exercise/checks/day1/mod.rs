//! Day 1's checks.

use super::Check;

mod first_nop;
mod hello_write;
mod in_order;
mod one_enter;
mod probe_first;

/// By the names of the exercises.
pub const CHECKS: &[(&str, Check)] = &[
    ("first_nop", first_nop::check),
    ("hello_write", hello_write::check),
    ("one_enter", one_enter::check),
    ("in_order", in_order::check),
    ("probe_first", probe_first::check),
];
