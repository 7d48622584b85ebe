//! Entries about time: a timer, how to change it, and a limit for another entry.

mod link_timeout;
mod timeout;
mod timeout_remove;

use io_uring::types::Timespec;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[timeout::ENTRY, timeout_remove::ENTRY, link_timeout::ENTRY];

/// A millisecond.
static SOON: Timespec = Timespec::new().nsec(1_000_000);

/// An hour. Nothing here waits until it is over.
static LATER: Timespec = Timespec::new().sec(3_600);
