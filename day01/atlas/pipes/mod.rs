//! Pipes, and moving data through them inside the kernel.

mod pipe;
mod splice;
mod tee;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[splice::ENTRY, tee::ENTRY, pipe::ENTRY];
