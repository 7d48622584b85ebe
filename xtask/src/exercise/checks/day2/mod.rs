//! Day 2's checks.

use super::Check;

mod granted;
mod no_descriptor;
mod overflow;
mod ring_fd;
mod wake_the_poller;

/// By the names of the exercises.
pub const CHECKS: &[(&str, Check)] = &[
    ("granted", granted::check),
    ("overflow", overflow::check),
    ("wake_the_poller", wake_the_poller::check),
    ("ring_fd", ring_fd::check),
    ("no_descriptor", no_descriptor::check),
];
