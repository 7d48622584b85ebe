//! A FIFO, by which a check makes a program wait.

use std::fs::{File, OpenOptions};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::exercise::failure::Failure;

/// Makes a FIFO that is open at both ends, so that no open has to wait.
///
/// # Errors
/// Not observed, if it cannot be made.
pub fn fifo(path: &Path) -> Result<File, Failure> {
    let made = mkfifo(path, Mode::from_bits_truncate(0o600)).map_err(std::io::Error::from);
    made.and_then(|()| OpenOptions::new().read(true).write(true).open(path))
        .map_err(|error| Failure::not_observed(format!("{}: {error}", path.display())))
}
