//! Waiting for readiness, and ending what is under way.

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[];
