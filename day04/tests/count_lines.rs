//! `beyond/count_lines.rs`: it counts as `wc -l` does, and no chain leaves a file in its slot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Folder, PATIENCE, example, ordinary_user_or_skip, output_within, skipped};

/// What one READ asks for.
const PIECE: usize = 64 << 10;

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn program(slots: usize, files: &[PathBuf]) -> Command {
    let mut command = example("count_lines");
    command.args(["--json", "--slots", &slots.to_string()]).args(files);
    command
}

/// The counts that it printed, in the order of the names; and the files, lines and failures of its
/// summary.
fn counted(output: &Output) -> (Vec<(PathBuf, u64)>, [u64; 3]) {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let mut events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = events.pop().unwrap_or_else(|| panic!("{output:?}"));
    let mut counted: Vec<_> = events
        .iter()
        .map(|event| (event["file"].as_str().unwrap().into(), event["lines"].as_u64().unwrap()))
        .collect();
    counted.sort();
    let counts = &summary["counts"];
    (counted, ["files", "lines", "failed"].map(|name| counts[name].as_u64().unwrap()))
}

#[test]
fn it_counts_files_of_all_lengths() {
    let Some(folder) = Folder::or_skip("it_counts_files_of_all_lengths") else { return };
    let mut expected = Vec::new();
    for (nth, length) in [0, 1, 2, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7]
        .into_iter()
        .cycle()
        .take(100)
        .enumerate()
    {
        let bytes: Vec<u8> =
            (0..length).map(|at| if at % (nth + 2) == nth { b'\n' } else { b'x' }).collect();
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        expected.push((file(&folder, &format!("file{nth:03}"), &bytes), lines as u64));
    }
    let files: Vec<PathBuf> = expected.iter().map(|(name, _)| name.clone()).collect();
    let all = expected.iter().map(|(_, lines)| lines).sum();
    for slots in [1, 3, 200] {
        let output = output_within(program(slots, &files), PATIENCE).unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(counted(&output), (expected.clone(), [100, all, 0]));
    }
}

#[test]
fn what_fails_is_named_and_leaves_its_slot() {
    let Some(folder) = Folder::or_skip("what_fails_is_named_and_leaves_its_slot") else { return };
    fs::create_dir(folder.join("folder")).unwrap();
    // Its OPENAT does not wait for a writer, and its READ finds the end.
    let pipe = folder.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut files = Vec::new();
    for _ in 0..40 {
        files.extend([folder.join("folder"), folder.join("missing"), pipe.clone()]);
    }
    files.push(file(&folder, "last", b"one\ntwo\n"));
    let output = output_within(program(2, &files), PATIENCE).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let (counted, counts) = counted(&output);
    assert_eq!(counts, [41, 2, 80]);
    assert!(counted.contains(&(folder.join("last"), 2)));
    let errors = String::from_utf8(output.stderr).unwrap();
    for says in ["folder: READ: Is a directory", "missing: OPENAT: No such file"] {
        assert_eq!(errors.matches(says).count(), 40, "{errors}");
    }
}

#[test]
fn an_ordinary_user_with_little_memory_can_count() {
    let test = "an_ordinary_user_with_little_memory_can_count";
    let Some(folder) = Folder::or_skip(test) else { return };
    let files = [file(&folder, "one", b"1\n2\n3\n")];
    let mut command = program(4096, &files);
    if !ordinary_user_or_skip(test, &mut command, 64 << 10) {
        return;
    }
    let output = output_within(command, PATIENCE).unwrap();
    let limits = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(1) && limits.contains("RLIMIT_NOFILE") {
        return skipped(test, "this user may not have a table of 4096 slots");
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(counted(&output).1, [1, 3, 0]);
}
