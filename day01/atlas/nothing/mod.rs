//! Entries that do nothing: for a look at the ring itself.

mod nop;
mod nop128;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[nop::ENTRY, nop128::ENTRY];
