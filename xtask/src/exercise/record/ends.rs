//! How a program ended.

use super::Record;
use super::needs::no_rings;
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::trace::event::What;

impl Record {
    /// The program ended by itself with status 0.
    ///
    /// # Errors
    /// `E-PANIC`, `E-SIGNAL`, `E-EXIT`.
    pub fn need_exit(&self) -> Result<(), Failure> {
        self.need_exit_status(0)
    }

    /// The program ended by itself with this status.
    ///
    /// # Errors
    /// As [`Record::need_exit`].
    pub fn need_exit_status(&self, wanted: i32) -> Result<(), Failure> {
        match self.status {
            Some(status) if status == wanted => Ok(()),
            // Then any program ends badly, and rightly.
            _ if self.refused_here() => Err(no_rings()),
            _ => Err(self.bad_end(wanted)),
        }
    }

    /// Why an end was none that was asked for.
    fn bad_end(&self, wanted: i32) -> Failure {
        let last = || self.last_lines(|what| !matches!(what, What::Close(_) | What::Task(_)));
        let refused = self.summary.refused.keys().cloned().collect::<Vec<_>>().join(", ");
        let last = || match self.setups().next() {
            Some(_) => last(),
            None if refused.is_empty() => vec!["the program had no ring".to_string()],
            None => vec![format!("the kernel refused the program's ring: {refused}")],
        };
        let mut said = last_words(&self.stderr);
        if self.setups().next().is_none() && self.summary.refused.contains_key("ENOMEM") {
            said = format!(
                " Most likely its ring is larger than the limit on locked memory allows \
                 (`ulimit -l`, in KiB).{said}"
            );
        }
        match self.status {
            Some(101) if self.stderr.contains("panicked at") => self
                .fail(ids::PANIC)
                .kernel(last())
                .rule(format!("The program panicked: {}", panic_of(&self.stderr))),
            Some(status) if status > 128 => {
                let name = signal_name(status - 128);
                self.fail(ids::SIGNAL)
                    .kernel(last())
                    .rule(format!("{name} ended the program; it was to end by itself.{said}"))
            }
            Some(status) => {
                let words = format!(
                    "The program ended with status {status}; {wanted} was asked for.{said}"
                );
                // Then the end is only what came of that.
                let never = self.summary.never_submitted > 0 && self.summary.all_entries() == 0;
                match self.need_all_submitted() {
                    Err(failure) if never => {
                        let rule = format!("{} {words}", failure.rule);
                        failure.rule(rule)
                    }
                    _ => self.fail(ids::EXIT).kernel(last()).rule(words),
                }
            }
            None => self
                .fail(ids::EXIT)
                .kernel(last())
                .rule("The program has not ended, and was to end by itself."),
        }
    }
}

/// What a program said before it ended, for a sentence to end with.
fn last_words(stderr: &str) -> String {
    let words: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    match words.as_slice() {
        [] => String::new(),
        words => format!(" It said: {}", words[words.len().saturating_sub(3)..].join(" / ")),
    }
}

/// The message of a panic, without the hint on backtraces.
fn panic_of(stderr: &str) -> String {
    let from = stderr.find("panicked at").map_or(0, |at| at + "panicked ".len());
    let lines: Vec<&str> = stderr[from..]
        .lines()
        .take_while(|line| !line.starts_with("note:") && !line.starts_with("stack backtrace"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(3)
        .collect();
    lines.join(" ")
}

fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_for_which_there_is_no_memory_is_explained() {
        let stderr = "Error: Cannot allocate memory (os error 12)".to_string();
        let mut record = Record { status: Some(1), stderr, ..Record::default() };
        record.summary.refused.insert("ENOMEM".to_string(), 1);
        let failure = record.need_exit().expect_err("no ring, no pass");
        assert_eq!(failure.kernel, ["the kernel refused the program's ring: ENOMEM"]);
        assert!(failure.rule.contains("the limit on locked memory"), "{}", failure.rule);
    }
}
