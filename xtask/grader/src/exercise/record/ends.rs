//! How a program ended.

use super::Record;
use super::needs::no_rings;
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use ringtrace::event::What;

impl Record {
    /// Fails unless the program ended by itself with status 0.
    ///
    /// # Errors
    /// `E-PANIC`, `E-SIGNAL`, `E-EXIT`.
    pub fn need_exit(&self) -> Result<(), Failure> {
        self.need_exit_status(0)
    }

    /// Fails unless the program ended by itself with this status.
    ///
    /// # Errors
    /// As [`Record::need_exit`].
    pub fn need_exit_status(&self, wanted: i32) -> Result<(), Failure> {
        match self.status {
            Some(status) if status == wanted => Ok(()),
            // Then every program must end with an error.
            _ if self.refused_here() => Err(no_rings()),
            _ => Err(self.bad_end(wanted)),
        }
    }

    /// Fails unless the program ended by itself with an exit code other than 0. A panic's code,
    /// 101, is right.
    ///
    /// # Errors
    /// `E-RESULT` with status 0, without a rule, because only the check knows what failed;
    /// `E-SIGNAL`; `E-EXIT` if the program has not ended.
    pub fn need_error_status(&self) -> Result<(), Failure> {
        match self.status {
            Some(0) => {
                let mut kernel = self.last_lines(|what| matches!(what, What::Complete(_)));
                kernel.push("exit status 0".to_string());
                Err(self.fail(ids::RESULT).kernel(kernel))
            }
            Some(status) if status <= 128 => Ok(()),
            _ => self.need_exit(),
        }
    }

    /// The message of the panic that ended the program.
    pub fn panicked(&self) -> Option<String> {
        let panicked = self.status == Some(101) && self.stderr.contains("panicked at");
        panicked.then(|| panic_of(&self.stderr))
    }

    /// The failure of a program that ended with an error before it set up a ring.
    pub(super) fn ended_without_a_ring(&self) -> Failure {
        let status = self.status.unwrap_or_default();
        let said = last_words(&self.stderr);
        self.fail(ids::EXIT)
            .kernel(["the program never called io_uring_setup"])
            .rule(format!("The program ended with status {status} before it set up a ring.{said}"))
    }

    /// Explains an unexpected exit status.
    fn bad_end(&self, wanted: i32) -> Failure {
        let last = || self.last_lines(|what| !matches!(what, What::Close(_) | What::Task(_)));
        let refused = self.summary.refused.keys().cloned().collect::<Vec<_>>().join(", ");
        let last = || match self.setups().next() {
            Some(_) => last(),
            None if refused.is_empty() => vec!["the program set up no ring".to_string()],
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
            Some(101) if self.panicked().is_some() => self
                .fail(ids::PANIC)
                .kernel(last())
                .rule(format!("The program panicked: {}", panic_of(&self.stderr))),
            Some(status) if status > 128 => {
                let name = signal_name(status - 128);
                self.fail(ids::SIGNAL)
                    .kernel(last())
                    .rule(format!("{name} ended the program; it must end by itself.{said}"))
            }
            Some(status) => {
                let words =
                    format!("The program ended with status {status}; it must be {wanted}.{said}");
                // Then the exit status is only a consequence of that.
                let entered = self.enters().next().is_some();
                let never = !entered && self.summary.all_entries() == 0;
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
                .rule("The program has not ended. It must end by itself."),
        }
    }
}

/// The program's last message before it ended, as the end of a sentence.
fn last_words(stderr: &str) -> String {
    let words: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    match words.as_slice() {
        [] => String::new(),
        words => {
            let last = words[words.len().saturating_sub(3)..].join(" / ");
            let stop = if last.ends_with(['.', '!', '?']) { "" } else { "." };
            format!(" It said: {last}{stop}")
        }
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

    fn ended(status: i32, stderr: &str) -> Record {
        Record { status: Some(status), stderr: stderr.to_string(), ..Record::default() }
    }

    #[test]
    fn an_error_is_any_exit_code_but_no_signal() {
        ended(1, "").need_error_status().expect("a code");
        ended(101, "thread 'main' panicked at here").need_error_status().expect("a code, too");
        let failure = ended(0, "").need_error_status().expect_err("no error");
        assert_eq!(failure.id, ids::RESULT);
        let failure = ended(139, "").need_error_status().expect_err("a signal is not an exit code");
        assert_eq!(failure.id, ids::SIGNAL);
    }

    #[test]
    fn what_a_program_said_ends_with_a_full_stop() {
        let failure = ended(1, "accepting: -22").need_exit().expect_err("status 1");
        assert!(failure.rule.ends_with("It said: accepting: -22."), "{}", failure.rule);
    }

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
