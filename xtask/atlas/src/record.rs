//! `--record`: the run that the book shows.

use std::fs::File;

use anyhow::{Result, ensure};
use atlas::{Made, Recorded};
use common::environment::{self, Environment};
use nix::sys::memfd::{MFdFlags, memfd_create};
use toolbox::output::{progress, say};

use crate::programs::Listed;
use crate::shown::{self, Shown};

/// Prints a recording of these entries. Returns whether it holds all of them: an entry with a fault
/// is left out, and the standard error says why.
///
/// # Errors
/// If the output has no reader.
pub fn all(chosen: &[&Listed]) -> Result<bool> {
    say(&serde_json::to_string(&made())?)?;
    let mut complete = true;
    for (nth, listed) in chosen.iter().enumerate() {
        progress(&format!("{} of {}: {}", nth + 1, chosen.len(), listed.report.name));
        match record(listed) {
            Ok(recorded) => say(&serde_json::to_string(&recorded)?)?,
            Err(wrong) => {
                environment::report("xtask atlas", Err(wrong));
                complete = false;
            }
        }
    }
    progress("");
    Ok(complete)
}

/// Where the recording is made.
fn made() -> Made {
    let here = Environment::read();
    let linux = here.kernel.split('.').take(2).collect::<Vec<_>>().join(".");
    Made { linux, root: here.euid == Some(0) }
}

/// Runs an entry twice to find what differs: the second time with more descriptors open, so that
/// new ones get other numbers.
///
/// # Errors
/// If the entry has a fault, or asks other things the second time.
fn record(listed: &Listed) -> Result<Recorded> {
    let first = sound(shown::show(listed)?)?;
    let inherited = || Ok(File::from(memfd_create(c"more", MFdFlags::empty())?));
    let _more: Vec<File> = (0..7).map(|_| inherited()).collect::<Result<_>>()?;
    let second = sound(shown::show(listed)?)?;
    // The kernel may refuse an entry before it goes to a worker, or in the worker.
    let rows = first.report.rows.iter().zip(&first.ran);
    let ran = rows.map(|(row, place)| place.filter(|_| row.errno.is_none())).zip(&second.ran);
    let ran = ran.map(|(place, again)| place.filter(|_| place == *again));
    let places = first.places();
    Ok(Recorded {
        ran: ran.map(|place| place.map(|it| it.name().to_string())).collect(),
        places: places.into_iter().map(String::from).collect(),
        in_the_record: first.in_the_record.clone(),
        ..Recorded::of_two(&first.report, &second.report)?
    })
}

/// An entry without a fault.
fn sound(shown: Shown) -> Result<Shown> {
    let problems = shown.problems();
    ensure!(problems.is_empty(), "{}: {}", shown.report.name, problems.join("; "));
    Ok(shown)
}
