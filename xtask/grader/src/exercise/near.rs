//! Suggestions for a name that does not exist.

use similar::get_close_matches;

/// How similar two names must be, from 0 to 1.
const ALIKE: f32 = 0.7;

/// Names with nearly the same letters, the most similar `most`; otherwise all of which one contains
/// the other.
pub(super) fn near<'a>(name: &str, all: &[&'a str], most: usize) -> Vec<&'a str> {
    let part = |other: &&str| name.contains(other) || other.contains(name);
    match get_close_matches(name, all, most, ALIKE) {
        alike if alike.is_empty() => all.iter().copied().filter(part).collect(),
        alike => alike,
    }
}
