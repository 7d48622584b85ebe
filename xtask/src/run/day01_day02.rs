//! Days 01 and 02: programs that print and end. Their output is shown unchanged.

use std::process::{Command, Output, Stdio};

use super::report::{Failure, Trouble};
use super::stage::Stage;

/// Runs the day. On a terminal it prints there itself, so that it sees the terminal's width and
/// whether colours are wanted.
///
/// # Errors
/// [`Trouble`], if it does not end well.
pub fn run(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    let mut command = Command::new(stage.program);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let silent = stage.narrator.is_silent();
    command.stdout(if silent { Stdio::null() } else { Stdio::inherit() });
    testkit::die_with_parent(&mut command);
    let during = format!("running {}", stage.day);
    let output = testkit::output_within(command, stage.patience)
        .map_err(|error| Failure::new(&during, "an end", format!("{error:#}")))?;
    stage.narrator.was_interrupted();
    judge(&output, &during)
}

fn judge(output: &Output, during: &str) -> Result<(), Trouble> {
    let words = String::from_utf8_lossy(&output.stderr).trim_end().to_string();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) if !words.is_empty() => Err(Trouble::Refused(words)),
        _ => Err(Failure::exit(during, output.status, &words).into()),
    }
}
