//! Day 4's checks.

use super::Check;

mod buffer_ring;
mod chain;
mod close_the_slot;
mod idle_guests;
mod one_submit;
mod proxy;
mod short_send;
mod slow_reader;
mod whose_completion;

/// By the names of the exercises.
pub const CHECKS: &[(&str, Check)] = &[
    ("one_submit", one_submit::check),
    ("whose_completion", whose_completion::check),
    ("short_send", short_send::check),
    ("buffer_ring", buffer_ring::check),
    ("close_the_slot", close_the_slot::check),
    ("slow_reader", slow_reader::check),
    ("idle_guests", idle_guests::check),
    ("chain", chain::check),
    ("proxy", proxy::check),
];
