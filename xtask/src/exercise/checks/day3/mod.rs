//! Day 3's checks.

use super::Check;

mod full_house;
mod last_orders;
mod one_accept;
mod peer_name;
mod rearm;

/// By the names of the exercises.
pub const CHECKS: &[(&str, Check)] = &[
    ("one_accept", one_accept::check),
    ("rearm", rearm::check),
    ("full_house", full_house::check),
    ("peer_name", peer_name::check),
    ("last_orders", last_orders::check),
];
