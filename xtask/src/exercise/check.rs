//! One check from its program to its verdict.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use common::environment;

use super::attempt::Attempt;
use super::exercises::{Exercise, release};
use super::failure::Failure;
use super::verdict::Verdict;

/// Checks a compiled program.
pub fn program(exercise: &Exercise, program: &Path) -> Verdict {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if let Some(failure) = too_old(exercise) {
        return Verdict::Failed(failure);
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder =
        std::env::temp_dir().join(format!("{}.{}.{number}", exercise.name, std::process::id()));
    let verdict = Verdict::of((exercise.check)(&Attempt::new(program, &folder)));
    let _ = std::fs::remove_dir_all(&folder);
    verdict
}

/// What this kernel is too old for.
fn too_old(exercise: &Exercise) -> Option<Failure> {
    let text = environment::kernel_release();
    let running = release(&text)?;
    let (major, minor) = exercise.kernel();
    (running < (major, minor)).then(|| {
        Failure::not_observed(format!(
            "{} needs Linux {major}.{minor}; this is {text}.",
            exercise.name
        ))
    })
}
