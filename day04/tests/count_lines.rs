//! `beyond/count_lines.rs`: it counts as `wc -l` does, and no chain leaves a file in its slot.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testkit::{
    PATIENCE, as_ordinary_user, example, io_uring_or_skip, limit_locked_memory, output_within,
    skipped,
};

/// What one READ asks for.
const PIECE: usize = 64 << 10;

/// A folder of its own for each test; gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program(slots: usize, files: &[String]) -> Command {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/count_lines.rs");
    let mut command = Command::new(example("count_lines", &source));
    command.args(["--json", "--slots", &slots.to_string()]).args(files);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it counted, by name and in the order of the names; and files, lines and failures of its
/// summary.
fn counted(output: &Output) -> (Vec<(String, u64)>, [u64; 3]) {
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
    let test = "it_counts_files_of_all_lengths";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
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
        expected.push((folder.file(&format!("file{nth:03}"), &bytes), lines as u64));
    }
    let files: Vec<String> = expected.iter().map(|(name, _)| name.clone()).collect();
    let all = expected.iter().map(|(_, lines)| lines).sum();
    for slots in [1, 3, 200] {
        let output = output_within(program(slots, &files), PATIENCE).unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(counted(&output), (expected.clone(), [100, all, 0]));
    }
}

#[test]
fn what_fails_is_named_and_leaves_its_slot() {
    let test = "what_fails_is_named_and_leaves_its_slot";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
    fs::create_dir(folder.0.join("folder")).unwrap();
    // Its OPENAT does not wait for a writer, and its READ finds the end.
    let pipe = folder.path("pipe");
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut files = Vec::new();
    for _ in 0..40 {
        files.extend([folder.path("folder"), folder.path("missing"), pipe.clone()]);
    }
    files.push(folder.file("last", b"one\ntwo\n"));
    let output = output_within(program(2, &files), PATIENCE).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let (counted, counts) = counted(&output);
    assert_eq!(counts, [41, 2, 80]);
    assert!(counted.contains(&(folder.path("last"), 2)));
    let errors = String::from_utf8(output.stderr).unwrap();
    for says in ["folder: READ: Is a directory", "missing: OPENAT: No such file"] {
        assert_eq!(errors.matches(says).count(), 40, "{errors}");
    }
}

#[test]
fn an_ordinary_user_with_little_memory_can_count() {
    let test = "an_ordinary_user_with_little_memory_can_count";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
    let files = [folder.file("one", b"1\n2\n3\n")];
    let mut command = program(4096, &files);
    limit_locked_memory(&mut command, 64 << 10);
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, PATIENCE).unwrap();
    let limits = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(1) && limits.contains("RLIMIT_NOFILE") {
        return skipped(test, "this user may not have a table of 4096 slots");
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(counted(&output).1, [1, 3, 0]);
}
