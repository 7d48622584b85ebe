//! A booted kernel's serial console: the kernel's own messages, and our reports among them.
//!
//! A report is one line, `<report>{JSON}</report>`. Everything else on the console is the kernel's,
//! even if it is not text, and only serves to explain a failure.

use serde::{Deserialize, Serialize};

use super::facts::Facts;

const BEGIN: &str = "<report>";
const END: &str = "</report>";

/// A report from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The kernel's features.
    Facts(Facts),
    /// A program came to its end.
    Ran(Ran),
    /// What the tracer recorded of it: a file for the ring player, or nothing.
    Rings(String),
    /// The last report.
    Done,
}

/// A program that came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// What was typed: `day01 --json`.
    pub command: String,
    /// The exit status, if it was not killed.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// A message as it goes over the console.
pub fn line(message: &Message) -> String {
    let json = serde_json::to_string(message).expect("a message is plain data");
    format!("{BEGIN}{json}{END}\n")
}

/// All that came over the console.
#[derive(Debug, Default)]
pub struct Console {
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// The other lines that are not empty.
    pub rest: Vec<String>,
}

impl Console {
    /// Sorts the lines. Reports that arrived damaged are among the rest.
    pub fn read(bytes: &[u8]) -> Console {
        let mut console = Console::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            match message(line) {
                Some(message) => console.messages.push(message),
                None => console.note(line),
            }
        }
        console
    }

    fn note(&mut self, line: &str) {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        if !line.trim().is_empty() {
            self.rest.push(line.trim_end().to_string());
        }
    }

    /// Whether all reports arrived.
    pub fn is_complete(&self) -> bool {
        self.messages.last() == Some(&Message::Done)
    }

    /// The kernel's last words, if it panicked.
    pub fn panic(&self) -> Option<&str> {
        self.rest.iter().find_map(|line| line.split_once("Kernel panic - ").map(|(_, why)| why))
    }

    /// The end of what the kernel said, to explain a failure.
    pub fn tail(&self) -> String {
        if self.rest.is_empty() {
            return "\n    none".to_string();
        }
        let from = self.rest.len().saturating_sub(8);
        self.rest[from..].iter().map(|line| format!("\n    {line}")).collect()
    }
}

fn message(line: &str) -> Option<Message> {
    let (_, after) = line.split_once(BEGIN)?;
    let (json, _) = after.rsplit_once(END)?;
    serde_json::from_str(json).ok()
}

/// Puts words of several lines on one.
pub fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran() -> Message {
        Message::Ran(Ran {
            command: "day01 --json".into(),
            code: Some(0),
            stdout: "{\"text\":\"</report>\\u0007\"}\n".into(),
            stderr: String::new(),
        })
    }

    #[test]
    fn a_message_crosses_the_console() {
        let sent = line(&ran()) + &line(&Message::Done);
        // A terminal makes two bytes of each newline.
        let console = Console::read(sent.replace('\n', "\r\n").as_bytes());
        assert_eq!(console.messages, [ran(), Message::Done]);
        assert!(console.is_complete());
        assert!(console.rest.is_empty(), "{:?}", console.rest);
    }

    #[test]
    fn noise_is_no_text_and_does_no_harm() {
        let mut bytes = b"\xff\x00\x1b[2J early\r\n\xfe".to_vec();
        bytes.extend_from_slice(line(&ran()).as_bytes());
        bytes.extend_from_slice(b"[    2.9] reboot: Restarting system\r\n");
        let console = Console::read(&bytes);
        assert_eq!(console.messages, [ran()]);
        assert!(!console.is_complete());
        assert!(console.tail().ends_with("reboot: Restarting system"), "{}", console.tail());
    }

    #[test]
    fn a_report_that_was_cut_or_mixed_with_other_words_is_none() {
        let whole = line(&ran());
        for damaged in [&whole[..whole.len() / 2], &whole.replacen("code", "co[ 3.1] oops", 1)] {
            let console = Console::read(damaged.as_bytes());
            assert!(console.messages.is_empty());
            assert_eq!(console.rest.len(), 1);
        }
    }

    #[test]
    fn a_panic_is_found() {
        let console = Console::read(
            b"[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[    1.2] CPU: 0\r\n",
        );
        assert_eq!(console.panic(), Some("not syncing: VFS: Unable to mount root fs"));
        assert_eq!(Console::read(b"all is well\n").panic(), None);
    }
}
