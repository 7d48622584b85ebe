//! Errors that come from a lack on this machine or of this user, and not from the kernel's answer.

use std::fmt;
use std::io;

use common::environment::{self, Environment, Refusal};
use nix::errno::Errno;

/// The locked memory of a ring with a few entries: one page for each of its two parts.
const SMALL_RING: u64 = 8 << 10;

/// An answer that the entry did not expect.
#[derive(Debug)]
pub(crate) struct Unexpected {
    /// The answer, if it was an error.
    pub(crate) errno: Option<Errno>,
    /// What was asked, answered and expected.
    pub(crate) what: String,
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Unexpected {}

/// The error number that an entry failed with.
pub(crate) fn errno_of(error: &anyhow::Error) -> Option<Errno> {
    error.chain().find_map(|cause| {
        let system = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        let unexpected = || cause.downcast_ref::<Unexpected>()?.errno;
        system.map(Errno::from_raw).or_else(unexpected).or(cause.downcast_ref::<Errno>().copied())
    })
}

/// Whether an entry failed for lack of memory, which a closed ring may still hold.
pub(crate) fn is_of_memory(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refusal>().is_some_and(|it| it.what.contains("ENOMEM"));
    refused || errno_of(error) == Some(Errno::ENOMEM)
}

/// The likely cause and what to do, if an entry failed for lack of memory, of descriptors or of
/// room for files. `in_files`: whether it has files.
pub(crate) fn explain(errno: Errno, in_files: bool) -> Option<String> {
    match errno {
        Errno::ENOMEM => Some(locked_memory()),
        Errno::EMFILE | Errno::ENFILE => {
            let refusal = environment::explain("", &io::Error::from(errno));
            Some(format!("likely cause: {}; try: {}", refusal.why, refusal.remedy))
        }
        Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS if in_files => Some(format!(
            "likely cause: no room in {}, where the entry has its files; try: \
             `TMPDIR=FOLDER` before the command, with a folder on another file system",
            std::env::temp_dir().display()
        )),
        _ => None,
    }
}

/// Nearly always the cause is RLIMIT_MEMLOCK.
fn locked_memory() -> String {
    let here = Environment::read();
    let refusal = here.explain_memory("", libc::ENOMEM, SMALL_RING);
    let why = match here.locked_memory_limit() {
        Some(limit) => format!(
            "RLIMIT_MEMLOCK allows {} KiB, for all rings and registered buffers of this user \
             together",
            limit >> 10
        ),
        None => refusal.why,
    };
    format!("likely cause: {why}; try: {}", refusal.remedy)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_number_is_found_below_any_words() {
        let below = |error: anyhow::Error| errno_of(&error.context("making a ring"));
        assert_eq!(below(io::Error::from_raw_os_error(libc::ENOMEM).into()), Some(Errno::ENOMEM));
        assert_eq!(below(Errno::EMFILE.into()), Some(Errno::EMFILE));
        let unexpected = Unexpected { errno: Some(Errno::ENOSPC), what: "WRITE".to_string() };
        assert_eq!(below(unexpected.into()), Some(Errno::ENOSPC));
        assert_eq!(below(None::<u8>.context("nothing").unwrap_err()), None);
    }

    #[test]
    fn a_shortage_is_explained_and_a_surprise_is_not() {
        for (errno, remedy) in [
            (Errno::ENOMEM, "memory"),
            (Errno::EMFILE, "ulimit -n"),
            (Errno::ENOSPC, "TMPDIR=FOLDER"),
        ] {
            assert!(explain(errno, true).is_some_and(|text| text.contains(remedy)), "{errno}");
        }
        assert_eq!(explain(Errno::ENOSPC, false), None);
        assert_eq!(explain(Errno::EINVAL, true), None);
    }
}
