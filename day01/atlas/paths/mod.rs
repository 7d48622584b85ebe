//! Opening, naming and removing files.

use std::fs::File;
use std::path::PathBuf;

use atlas::{Page, Result};

mod close;
mod linkat;
mod mkdirat;
mod openat;
mod openat2;
mod renameat;
mod statx;
mod symlinkat;
mod unlinkat;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[
    openat::ENTRY,
    openat2::ENTRY,
    close::ENTRY,
    statx::ENTRY,
    renameat::ENTRY,
    unlinkat::ENTRY,
    mkdirat::ENTRY,
    symlinkat::ENTRY,
    linkat::ENTRY,
];

/// The entry's own folder: its path, and a descriptor for relative paths to start from.
fn folder(page: &mut Page) -> Result<(PathBuf, File)> {
    let path = page.scratch()?.path("");
    let open = File::open(&path)?;
    Ok((path, open))
}
