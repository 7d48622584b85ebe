//! Whether what has to run can run.

use common::ring::{self, RingOptions};

use crate::output;
use crate::problem::Problem;

/// Whether a ring is available. If not, says that `what` is skipped; with `REQUIRE_IO_URING=1` that
/// is a problem, since a check that does not run proves nothing.
pub fn available(what: &str) -> Result<bool, Problem> {
    let Err(refusal) = ring::build_best(&RingOptions::default(), 2) else { return Ok(true) };
    if std::env::var_os("REQUIRE_IO_URING").is_some_and(|value| value == "1") {
        let remedy = format!("{refusal:#}\nor leave REQUIRE_IO_URING out, to skip them");
        return Err(Problem::of("book", format!("{what} cannot be run here"), remedy));
    }
    output::aside(&format!("SKIPPED {what}: {refusal:#}"));
    Ok(false)
}
