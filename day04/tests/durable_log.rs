//! `beyond/durable_log.rs`: the log holds every record that it acknowledged, whenever it was
//! killed.
//!
//! `LOG_KILLS=1000` kills it 1000 times in each folder, `LOG_SEED=N` at other moments.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use serde_json::Value;
use testkit::{Folder, PATIENCE, example, ordinary_user_or_skip, output_within};

/// A log in a folder of its own.
struct Log(Folder);

impl Log {
    /// One log on a disk, and one in memory if `/dev/shm` is there; no log if no ring is available.
    fn in_each(test: &str) -> Vec<Log> {
        let Some(on_disk) = Folder::or_skip(test) else { return Vec::new() };
        let in_memory = Folder::within(Path::new("/dev/shm"), test).ok();
        [Some(on_disk), in_memory].into_iter().flatten().map(Log).collect()
    }

    fn file(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The program, which appends `input` to this log, or reads it.
    fn command(&self, arguments: &[&str], input: &[u8]) -> Command {
        let path = self.0.join("input");
        fs::write(&path, input).unwrap();
        let mut command = example("durable_log");
        command.args(arguments).arg(self.file()).stdin(File::open(&path).unwrap());
        command
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        output_within(self.command(arguments, input), PATIENCE).unwrap()
    }

    fn records(&self) -> Vec<String> {
        let output = self.run(&["--read"], b"");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
    }
}

/// The JSON lines that it printed.
fn events(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The counts of its summary: records, commits and writes.
fn counts(output: &Output) -> [u64; 3] {
    assert!(output.status.success(), "{output:?}");
    let counts = &events(output).pop().unwrap()["counts"];
    ["records", "commits", "writes"].map(|name| counts[name].as_u64().unwrap())
}

/// Numbers that look random, the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

/// The text of the record with this number, from 1: short ones and some of up to 20 KB.
fn record(number: u64) -> String {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    random.below(2);
    let longest = if random.below(50) == 0 { 20_000 } else { 300 };
    format!("{number} {}", "x".repeat(random.below(longest) as usize))
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let seed = from_environment("LOG_SEED", 1);
    for log in Log::in_each("what_was_acknowledged_is_there_after_a_kill") {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut before = 0;
        for round in 0..from_environment("LOG_KILLS", 20) {
            if round % 10 == 0 {
                let _ = fs::remove_file(log.file());
                before = 0;
            }
            let acknowledged = kill_at_random(&log, before, &mut random);
            let found = log.records();
            let context = format!("round {round} of seed {seed} in {:?}", log.0);
            before = found.len() as u64;
            assert!(
                before >= acknowledged,
                "{context}: {acknowledged} acknowledged, {before} there"
            );
            for (number, text) in (1..).zip(found) {
                assert!(text == record(number), "{context}: record {number} is not as sent");
            }
        }
    }
}

/// Feeds the program `ROUND` records from `before` + 1 on, kills it some time after it
/// acknowledged some of them, and returns the number of the last one that it acknowledged.
fn kill_at_random(log: &Log, before: u64, random: &mut Random) -> u64 {
    const ROUND: u64 = 300;
    let mut command = log.command(&["--json"], b"");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        // EPIPE when the program is killed.
        let mut numbers = before + 1..=before + ROUND;
        let _ = numbers.try_for_each(|number| writeln!(input, "{}", record(number)));
        input
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let opened: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(opened["records"], before, "{opened}");
    let last = |line: String| -> Option<u64> {
        // The last line may be torn as well.
        serde_json::from_str::<Value>(&line).ok()?["last"].as_u64()
    };
    let enough = before + random.below(ROUND);
    let mut acknowledged = before;
    while acknowledged < enough {
        acknowledged = last(lines.next().unwrap()).unwrap();
    }
    thread::sleep(Duration::from_micros(random.below(3000)));
    child.kill().unwrap();
    child.wait().unwrap();
    // What it printed before it died counts, even if it was not read yet.
    acknowledged = lines.filter_map(last).last().unwrap_or(acknowledged);
    drop(feeder.join());
    acknowledged
}

#[test]
fn a_torn_tail_is_cut_wherever_it_was_torn() {
    let Some(log) = Log::in_each("a_torn_tail_is_cut_wherever_it_was_torn").pop() else { return };
    assert_eq!(counts(&log.run(&["--json"], b"a\nbc\ndef"))[0], 3);
    let whole = fs::read(log.file()).unwrap();
    // 8 bytes of the log's head, and 8 before each record.
    let ends = [8 + 9, 8 + 9 + 10, 8 + 9 + 10 + 11];
    assert_eq!(whole.len(), ends[2]);
    let after = |bytes: &[u8], records: usize, cut: usize| {
        fs::write(log.file(), bytes).unwrap();
        let output = log.run(&["--json"], b"new");
        let opened = &events(&output)[0];
        assert_eq!(
            (&opened["records"], &opened["cut"]),
            (&records.into(), &cut.into()),
            "{output:?}"
        );
        let mut expected = ["a", "bc", "def"][..records].to_vec();
        expected.push("new");
        assert_eq!(log.records(), expected);
    };
    for length in 0..=whole.len() {
        let records = ends.iter().filter(|end| **end <= length).count();
        let end = if length < 8 { 0 } else { [&[8][..], &ends].concat()[records] };
        after(&whole[..length], records, length - end);
    }
    // A page that did not reach the disk reads as zeros; one that was overwritten has other bits.
    for byte in ends[1]..ends[2] {
        let mut torn = whole.clone();
        torn[byte] ^= 0x10;
        after(&torn, 2, 11);
    }
    let mut zeros = whole.clone();
    zeros.extend([0; 5000]);
    after(&zeros, 3, 5000);
}

#[test]
fn what_is_no_torn_tail_is_not_cut() {
    let Some(log) = Log::in_each("what_is_no_torn_tail_is_not_cut").pop() else { return };
    for (bytes, says) in [
        (b"somebody's letter".to_vec(), "is not a log"),
        ([b"ringlog\n".to_vec(), vec![7; 4 << 20]].concat(), "is damaged at byte 8"),
    ] {
        fs::write(log.file(), &bytes).unwrap();
        let output = log.run(&[], b"new");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(error.contains(says), "{error}");
        assert!(fs::read(log.file()).unwrap() == bytes, "it was changed");
    }
}

#[test]
fn records_that_come_together_share_a_commit() {
    let lines: String = (1..=100).map(|number| format!("{number}\n")).collect();
    for log in Log::in_each("records_that_come_together_share_a_commit") {
        assert_eq!(counts(&log.run(&["--json"], lines.as_bytes())), [100, 1, 1]);
        assert_eq!(log.records().len(), 100);
        assert_eq!(one_by_one(&log, 10), [10, 10, 10]);
    }
}

/// A producer who waits for each acknowledgement.
fn one_by_one(log: &Log, records: usize) -> [u64; 3] {
    let mut child: Child = log.command(&["--json"], b"").stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..records {
        input.write_all(b"a record\n").unwrap();
        lines.by_ref().map(Result::unwrap).find(|line| line.contains("acknowledged")).unwrap();
    }
    drop(input);
    let summary = lines.last().unwrap().unwrap();
    let status = child.wait().unwrap();
    counts(&Output { status, stdout: summary.into_bytes(), stderr: Vec::new() })
}

#[test]
fn a_short_write_is_not_acknowledged() {
    const LIMIT: u64 = 10_000;
    let lines: String = (1..=3000).map(|number| format!("{number}\n")).collect();
    for log in Log::in_each("a_short_write_is_not_acknowledged") {
        let mut command = log.command(&["--json"], lines.as_bytes());
        // The batch is longer than a file may be here: its WRITE is short, and the rest is refused.
        let limit = || {
            // SAFETY: a signal that is ignored runs no code.
            unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
            Ok(setrlimit(Resource::RLIMIT_FSIZE, LIMIT, LIMIT)?)
        };
        // SAFETY: between fork and exec it makes two system calls with constants.
        unsafe { command.pre_exec(limit) };
        let output = output_within(command, PATIENCE).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(error.contains("File too large"), "{error}");
        assert_eq!(events(&output).len(), 1, "nothing was acknowledged: {output:?}");
        assert_eq!(fs::metadata(log.file()).unwrap().len(), LIMIT);

        // What was written of it is a prefix; a producer that goes on from there loses nothing.
        let kept = log.records();
        let rest: String = lines.split_inclusive('\n').skip(kept.len()).collect();
        assert_eq!(counts(&log.run(&["--json"], rest.as_bytes()))[0], 3000 - kept.len() as u64);
        assert_eq!(log.records().join("\n") + "\n", lines);
    }
}

#[test]
fn a_second_program_waits_for_the_first() {
    let Some(log) = Log::in_each("a_second_program_waits_for_the_first").pop() else { return };
    let mut first = log.command(&[], b"").stdin(Stdio::piped()).spawn().unwrap();
    let mut opened = String::new();
    BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut opened).unwrap();
    let mut second = log.command(&[], b"second").spawn().unwrap();
    let mut waits = String::new();
    BufReader::new(second.stderr.as_mut().unwrap()).read_line(&mut waits).unwrap();
    assert!(waits.contains("is in use"), "{waits}");
    first.stdin.take().unwrap().write_all(b"first").unwrap();
    assert!(first.wait_with_output().unwrap().status.success());
    assert!(second.wait_with_output().unwrap().status.success());
    assert_eq!(log.records(), ["first", "second"]);
}

#[test]
fn an_ordinary_user_can_keep_a_log() {
    let test = "an_ordinary_user_can_keep_a_log";
    for log in Log::in_each(test) {
        let mut command = log.command(&["--json"], b"one\ntwo\n");
        if !ordinary_user_or_skip(test, &mut command, 8 << 20) {
            return;
        }
        assert_eq!(counts(&output_within(command, PATIENCE).unwrap()), [2, 1, 1]);
    }
}
