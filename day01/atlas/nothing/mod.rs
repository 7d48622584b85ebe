//! Entries that do nothing: they show the ring itself.

mod nop;
mod nop128;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[nop::ENTRY, nop128::ENTRY];
