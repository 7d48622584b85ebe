//! The table of registered files, which a ring uses in place of descriptors.

mod files_update;
mod fixed_fd_install;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[files_update::ENTRY, fixed_fd_install::ENTRY];
