//! A command of the book under the tracer, and the builds before it.

use std::fs;
use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::runs::EMULATED;
use crate::transcript::Transcript;

/// The beginning of a command that runs the tracer by itself.
const TRACE: &str = "cargo xtask trace ";

/// The subfolder for the files of a transcript's commands.
const FILES: &str = "files";

/// The folder of a run, for the tracer's output. A process removes it when this is dropped, or when
/// this program ends in any way.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    remover: Child,
    /// While this is open, the remover waits.
    life: Option<PipeWriter>,
}

impl Folder {
    /// A new folder that only this user can read.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("book-run.").tempdir()?;
        fs::create_dir(folder.path().join(FILES))?;
        let (waits, life) = io::pipe()?;
        let mut remover = Command::new("sh");
        // A program of the run that is just ending may still write a file.
        remover
            .args(["-c", "trap '' INT TERM HUP; read -r _; until rm -rf \"$0\"; do sleep 1; done"]);
        remover.arg(folder.path()).stdin(waits).stdout(Stdio::null()).stderr(Stdio::null());
        let remover = remover.process_group(0).spawn()?;
        Ok(Self { path: folder.keep(), remover, life: Some(life) })
    }

    /// A line of output as the book would have it: files that lie here lie in `/tmp/` there.
    pub fn shown(&self, line: &str) -> String {
        line.replace(&self.files(), "/tmp/")
    }

    /// In place of `/tmp/` in a command: what a page runs touches no file of the reader's.
    fn files(&self) -> String {
        format!("{}/{FILES}/", self.path())
    }

    /// Its path.
    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// The shell's command line for a command. A command that makes no ring runs as it is.
    pub fn traced(&self, index: usize, text: &str) -> String {
        let text = &text.replace("/tmp/", &self.files());
        let rings = quoted(&format!("{}/{index}.json", self.path()));
        let words = quoted(&format!("{}/{index}.txt", self.path()));
        if text.starts_with(EMULATED) {
            // The atlas is not traced: it is a tracer itself.
            let keep = format!(" --recording {rings} -- ");
            return match text.contains(" atlas ") {
                true => text.to_owned(),
                false => format!("{} 2>{words}", text.replacen(" -- ", &keep, 1)),
            };
        }
        if text.contains(TRACE) {
            return text.replacen(TRACE, &format!("{TRACE}--recording {rings} "), 1);
        }
        if !["cargo run ", "cargo xtask run ", "target/debug/"].iter().any(|it| text.contains(it)) {
            return text.to_owned();
        }
        // The tracer follows the shell to the program. Its own messages go to a file, since the
        // program's standard error goes to the pipe.
        let command = quoted(&format!("exec 2>&1; {text}"));
        format!("{TRACE}--fast --summary --recording {rings} -- sh -c {command} 2>{words}")
    }

    /// What the tracer wrote for this many commands, and its messages if it wrote nothing.
    pub fn read(&self, commands: usize) -> (Vec<Value>, Vec<String>) {
        let (mut traces, mut words) = (Vec::new(), Vec::new());
        for index in 0..commands {
            let file = |extension| self.path.join(format!("{index}.{extension}"));
            let trace = fs::read_to_string(file("json")).unwrap_or_default();
            match serde_json::from_str(&trace) {
                Ok(trace) => traces.push(trace),
                Err(_) => words.extend(fs::read_to_string(file("txt")).ok()),
            }
        }
        words.retain(|words| !words.trim().is_empty());
        (traces, words)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.life = None;
        let _ = self.remover.wait();
    }
}

/// Quotes a word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The commands that build what a transcript runs, so that the deadline of a command does not
/// include them.
pub fn builds(transcript: &Transcript) -> String {
    let mut builds: Vec<String> = ["xtask", "ringtrace", "recorder"]
        .map(|package| format!("cargo build --quiet --locked -p {package}"))
        .into();
    for command in &transcript.commands {
        if command.text.starts_with("cargo xtask atlas ") {
            builds.push("cargo build --quiet --locked -p atlas-runner".to_owned());
            for (day, example) in [("day01", "atlas"), ("day02", "ring_atlas")] {
                builds.push(format!("cargo build --quiet --locked -p {day} --example {example}"));
            }
        }
        for (_, rest) in
            command.text.match_indices("cargo run ").map(|it| command.text.split_at(it.0))
        {
            let words = rest.split_whitespace().skip(2);
            let words =
                words.take_while(|word| *word != "--" && !word.contains(['|', '&', ';', ')']));
            let words: Vec<&str> = words.collect();
            builds.push(format!("cargo build --quiet --locked {}", words.join(" ")));
        }
        // The programs of the chapters.
        for rest in command.text.split("target/debug/examples/").skip(1) {
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let name = name.unwrap_or_default();
            builds.push(format!("cargo build --quiet --locked -p day04 --example {name}"));
        }
        for day in ["day01", "day02", "day03", "day04"] {
            let number = day.trim_start_matches("day0");
            let text = &command.text;
            let traced = text.contains(TRACE) && text.contains(day);
            if traced || text.contains(&format!("cargo xtask run --day {number}")) {
                builds.push(format!("cargo build --quiet --locked -p {day}"));
            }
        }
    }
    builds.join(" && ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_make_rings_are_traced() {
        let folder = Folder::new().unwrap();
        let at = folder.path();
        assert_eq!(
            folder.traced(0, "echo hello | nc 127.0.0.1 4242"),
            "echo hello | nc 127.0.0.1 4242"
        );
        let seq = folder.traced(0, "seq 3 >/tmp/three");
        assert_eq!(seq, format!("seq 3 >{at}/files/three"));
        assert_eq!(folder.shown(&seq), "seq 3 >/tmp/three");
        assert_eq!(
            folder.traced(1, "cargo xtask trace day01 --quiet"),
            format!("cargo xtask trace --recording '{at}/1.json' day01 --quiet")
        );
        let emulated = format!("{EMULATED}cargo run -p day01 -- --quiet");
        assert_eq!(
            folder.traced(1, &emulated),
            format!(
                "cargo xtask kernels --on 6.1 --recording '{at}/1.json' -- cargo run -p day01 -- \
                 --quiet 2>'{at}/1.txt'"
            )
        );
        let traced = folder.traced(2, "cargo run -p day02 | grep 'x y'");
        assert!(
            traced.ends_with(&format!(
                r" -- sh -c 'exec 2>&1; cargo run -p day02 | grep '\''x y'\''' 2>'{at}/2.txt'"
            )),
            "{traced}"
        );
        fs::write(format!("{at}/2.json"), "{\"rings\":[]}").unwrap();
        fs::write(format!("{at}/3.txt"), "no ptrace here").unwrap();
        let (traces, words) = folder.read(4);
        assert_eq!((traces.len(), words), (1, vec!["no ptrace here".to_owned()]));
        drop(folder);
        assert!(!std::path::Path::new(&at).exists());
    }

    #[test]
    fn what_a_transcript_runs_is_built_first() {
        let text = "$ (ulimit -n 64; cargo run -p day04 --example durable_log -- /tmp/x </y) &\n\
                    $ cargo xtask trace --json - -- day02 --quiet\n$ cargo xtask run --day 3\n\
                    $ target/debug/examples/stuck slot & kill $!\n\
                    $ cargo run -p day01 | wc -l\n";
        let builds = builds(&Transcript::parse(text).unwrap());
        for build in [
            "-p day04 --example durable_log &&",
            "-p day02 &&",
            "-p day03 &&",
            "--example stuck &&",
        ] {
            assert!(builds.contains(build), "{builds}");
        }
        assert!(builds.ends_with("-p day01"), "{builds}");
    }
}
