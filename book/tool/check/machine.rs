//! Whether this machine can run what the book shows.

use common::ring::{self, RingOptions};

use crate::problem::Problem;
use crate::say;

/// Whether a ring can be had. If not, says so and names `what` is skipped; with
/// `REQUIRE_IO_URING=1` that is a problem: a check that does not run proves nothing.
pub fn has_ring(what: &str) -> Result<bool, Problem> {
    let Err(refusal) = ring::build_best(&RingOptions::default(), 2) else { return Ok(true) };
    if std::env::var_os("REQUIRE_IO_URING").is_some_and(|value| value == "1") {
        let remedy = format!("{refusal:#}\nor leave REQUIRE_IO_URING out, to skip them");
        return Err(Problem::of("book", format!("{what} cannot be run here"), remedy));
    }
    say::aside(&format!("SKIPPED {what}: {refusal:#}"));
    Ok(false)
}
