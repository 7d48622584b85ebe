//! `xtask run` with stand-ins for the days: each mistake must be seen, reported as that day's
//! failure, and must not stop the other days.
//!
//! A stand-in is a shell script that prints what a server prints. The address that it prints is
//! that of a socket in a thread of the test, which plays the server to the clients.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

/// A folder of stand-ins, removed at the end.
struct Folder(TempDir);

impl Folder {
    /// Days 01 and 02 print a line and end well; days 03 and 04 are missing.
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.script("day01", "echo 'one ring'").script("day02", "echo 'many rings'")
    }

    fn script(self, day: &str, body: &str) -> Folder {
        let path = self.0.path().join(day);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// A server whose clients meet `serve`, and which does `at_sigint` at the end.
    fn server(self, day: &str, serve: fn(TcpListener), at_sigint: &str) -> Folder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(listener));
        let listening = format!(
            r#"{{"event":"listening","address":"{address}","dropped":["IORING_SETUP_NO_SQARRAY"]}}"#
        );
        self.script(
            day,
            &format!("trap '{at_sigint}' INT\necho '{listening}'\nwhile :; do sleep 0.02; done"),
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("run").arg("--programs").arg(self.0.path()).args(arguments);
        command
    }

    /// The exit code and what was printed.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let stdout = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), stdout.replace(self.0.path().to_str().unwrap(), "FOLDER"))
    }

    /// The result of one day; the run as a whole must have failed.
    fn outcome(&self, day: &str, arguments: &[&str]) -> Value {
        let number = day.trim_start_matches("day0");
        let (code, stdout) = self.run(&[&["--json", "--day", number], arguments].concat());
        assert_eq!(code, Some(1), "{stdout}");
        let record: Value = serde_json::from_str(&stdout).unwrap();
        record["days"][0].clone()
    }
}

#[track_caller]
fn assert_failed(report: &Value, during: &str, expected: &str, got: &str) {
    assert_eq!(report["outcome"], "failed", "{report}");
    for (field, wanted) in [("during", during), ("expected", expected), ("got", got)] {
        let text = report[field].as_str().unwrap();
        assert!(text.contains(wanted), "{field} should contain {wanted:?}: {report}");
    }
}

/// As day 03 must: four at a time, the next when one leaves.
fn greet_four_at_a_time(listener: TcpListener) {
    let mut served = Vec::new();
    for (number, client) in (1..=10).zip(listener.incoming()) {
        let mut client = client.unwrap();
        if served.len() == 4 {
            let mut first: TcpStream = served.remove(0);
            first.read_to_end(&mut Vec::new()).unwrap();
        }
        writeln!(client, "hello from slot {}, you are client {number}", number % 4).unwrap();
        served.push(client);
    }
    served.truncate(10);
    for mut client in served {
        // The last one stays until it sees our end.
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    }
}

/// As day 03 must end.
const GOOD_END: &str = r#"echo "{\"event\":\"summary\",\"clients\":10,\"closed\":10}"; exit 0"#;

/// Takes what the first client of day 04 sends, and gives it this answer.
fn answer_hello(listener: &TcpListener, answer: &[u8]) -> TcpStream {
    let (mut client, _) = listener.accept().unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    client.write_all(answer).unwrap();
    client
}

#[test]
fn days_that_do_well_end_in_exit_code_0() {
    let folder = Folder::new().server("day03", greet_four_at_a_time, GOOD_END);
    let (code, stdout) = folder.run(&["--day", "1", "--day", "2", "--day", "3"]);
    assert_eq!(code, Some(0), "{stdout}");
    insta::assert_snapshot!(stdout);
}

#[test]
fn a_failed_day_keeps_no_other_from_its_turn() {
    let folder = Folder::new().script("day01", "echo 'half a ring'; exit 3").server(
        "day03",
        |listener| drop(listener.accept()),
        GOOD_END,
    );
    let (code, stdout) = folder.run(&[]);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains("many rings"), "{stdout}");
    let lines: Vec<&str> = stdout.lines().filter(|line| line.starts_with("day0")).collect();
    assert!(lines.iter().any(|line| line.starts_with("day01  FAILED")), "{stdout}");
    assert!(lines.iter().any(|line| line.starts_with("day02  ran")), "{stdout}");
    assert!(lines.iter().any(|line| line.starts_with("day03  FAILED")), "{stdout}");
    assert!(lines.iter().any(|line| line.starts_with("day04  FAILED")), "{stdout}");
}

#[test]
fn a_program_that_crashes_is_a_failure() {
    let folder = Folder::new().script("day02", "kill -SEGV $$");
    let report = folder.outcome("day02", &[]);
    assert_failed(&report, "running day02", "exit status 0", "killed by SIGSEGV");
}

#[test]
fn a_wrong_exit_status_is_a_failure() {
    let folder = Folder::new().script("day02", "echo 'thread main panicked' >&2; exit 101");
    let report = folder.outcome("day02", &[]);
    assert_failed(&report, "running day02", "exit status 0", "exit status 101\nthread main");
}

#[test]
fn a_program_that_hangs_is_a_failure() {
    let folder = Folder::new().script("day01", "exec sleep 60");
    let report = folder.outcome("day01", &["--patience", "1"]);
    assert_failed(&report, "running day01", "an end", "still runs after 1 s");
}

#[test]
fn a_missing_program_is_a_failure() {
    let report = Folder::new().outcome("day04", &[]);
    assert_failed(&report, "looking for its program", "a file FOLDER/day04", "none");
}

#[test]
fn without_a_ring_only_day01_explains() {
    let refusal = "day01: io_uring_setup failed: EPERM\\n  why: a filter\\n  try: without it";
    let folder = Folder::new().script("day01", &format!("printf '{refusal}\\n' >&2; exit 1"));
    let (code, stdout) = folder.run(&[]);
    assert_eq!(code, Some(1), "{stdout}");
    insta::assert_snapshot!(stdout);
}

/// A lesson may take place where io_uring is blocked.
#[test]
fn the_recorded_days_need_no_ring() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["run", "--recorded"]);
    testkit::block_io_uring(&mut command, libc::EPERM);
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), [].as_slice()));
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    let traces = std::fs::read_dir("../book/traces").unwrap();
    for recording in traces {
        let text = std::fs::read_to_string(recording.unwrap().path()).unwrap();
        let recording: serde_json::Value = serde_json::from_str(&text).unwrap();
        for part in ["title", "command"] {
            assert!(stdout.contains(recording[part].as_str().unwrap()), "{stdout}");
        }
    }
    // One accept was submitted, and each of three clients answered it.
    let day03 = stdout.split("── day").nth(3).unwrap();
    assert_eq!(day03.matches("ACCEPT the listener").count(), 1, "{day03}");
    assert_eq!(day03.matches("connects.").count(), 3, "{day03}");
}

#[test]
fn a_server_that_cannot_run_here_is_quoted() {
    let folder = Folder::new().script("day03", "echo 'day03: needs Linux 5.19' >&2; exit 1");
    let report = folder.outcome("day03", &[]);
    assert_eq!(report["outcome"], "refused");
    assert_eq!(report["reason"], "day03: needs Linux 5.19");
}

#[test]
fn a_server_that_never_listens_is_a_failure() {
    let folder = Folder::new().script("day03", "exec sleep 60");
    let report = folder.outcome("day03", &["--patience", "1"]);
    assert_failed(&report, "starting day03", "address", "nothing within 1 s");
}

#[test]
fn a_server_that_panics_before_it_listens_is_a_failure() {
    let folder = Folder::new().script("day04", "echo 'thread main panicked' >&2; exit 101");
    let report = folder.outcome("day04", &[]);
    assert_failed(&report, "starting day04", "address", "(exit status 101):\nthread main");
}

#[test]
fn a_client_that_is_lost_is_a_failure() {
    let lose_the_first = |listener: TcpListener| {
        drop(listener.accept());
        thread::park();
    };
    let folder = Folder::new().server("day03", lose_the_first, GOOD_END);
    let report = folder.outcome("day03", &[]);
    assert_failed(&report, "connection 1 of 10", "a line of text", "the end-of-file");
}

#[test]
fn a_client_that_waits_in_vain_is_a_failure() {
    let forget = |listener: TcpListener| {
        let mut clients: Vec<TcpStream> = Vec::new();
        for client in listener.incoming() {
            clients.push(client.unwrap());
        }
    };
    let folder = Folder::new().server("day03", forget, GOOD_END);
    let report = folder.outcome("day03", &["--patience", "1"]);
    assert_failed(&report, "greeting of client 1", "4 of 4 slots are free", "nothing in time");
}

#[test]
fn a_server_without_a_limit_is_a_failure() {
    let greet_all = |listener: TcpListener| {
        let mut clients: Vec<TcpStream> = Vec::new();
        for _ in 0..10 {
            clients.push(listener.accept().unwrap().0);
        }
        // The first client's line is complete only when all the others have theirs, so four cannot
        // be read before a fifth is there.
        clients[0].write_all(b"hello from slot 1, ").unwrap();
        for (number, client) in (1..=10).zip(&mut clients).skip(1) {
            writeln!(client, "hello from slot {number}, you are client {number}").unwrap();
        }
        clients[0].write_all(b"you are client 1\n").unwrap();
        thread::park();
    };
    let folder = Folder::new().server("day03", greet_all, GOOD_END);
    let report = folder.outcome("day03", &[]);
    assert_failed(&report, "connection", "to wait: all 4 slots are taken", "an answer");
}

#[test]
fn a_server_that_dies_while_it_serves_is_a_failure() {
    let folder = Folder::new().server("day03", drop, GOOD_END);
    let script = fs::read_to_string(folder.0.path().join("day03")).unwrap();
    let dies = script.replace("while :; do sleep 0.02; done", "echo 'out of luck' >&2; exit 101");
    let folder = folder.script("day03", &dies);
    let report = folder.outcome("day03", &[]);
    assert_failed(
        &report,
        "connection",
        "a connection",
        "day03 ended: exit status 101\nout of luck",
    );
}

#[test]
fn a_server_that_ignores_sigint_is_a_failure() {
    let folder = Folder::new().server("day03", greet_four_at_a_time, ":");
    let report = folder.outcome("day03", &["--patience", "3"]);
    assert_failed(&report, "stopping it with SIGINT", "its end", "still runs 3 s after SIGINT");
}

#[test]
fn a_server_that_ends_badly_is_a_failure() {
    for (at_sigint, expected, got) in [
        ("echo oops >&2; exit 1", "exit status 0", "exit status 1\noops"),
        ("exit 0", "\"summary\"", "\"event\":\"listening\""),
        ("echo goodbye; exit 0", "its end", "not a JSON object: \"goodbye\""),
    ] {
        let folder = Folder::new().server("day03", greet_four_at_a_time, at_sigint);
        assert_failed(&folder.outcome("day03", &[]), "stopping it with SIGINT", expected, got);
    }
}

#[test]
fn a_server_that_miscounts_is_a_failure() {
    let miscounts = GOOD_END.replace("10", "9");
    let folder = Folder::new().server("day03", greet_four_at_a_time, &miscounts);
    let report = folder.outcome("day03", &[]);
    assert_failed(&report, "comparing its summary", "\"clients\": 10", "\"clients\": 9");
}

#[test]
fn a_wrong_answer_is_a_failure() {
    let answer_wrongly = |listener: TcpListener| {
        let client = answer_hello(&listener, b"nak\0");
        drop(client);
    };
    let folder = Folder::new().server("day04", answer_wrongly, "exit 0");
    let report = folder.outcome("day04", &[]);
    assert_failed(&report, "the client that sends \"hello\"", r#""ack\0""#, r#""nak\0""#);
}

#[test]
fn an_answer_too_many_is_a_failure() {
    let folder = Folder::new().server(
        "day04",
        |listener| {
            answer_hello(&listener, b"ack\0ack\0");
        },
        "exit 0",
    );
    let report = folder.outcome("day04", &[]);
    assert_failed(&report, "sends \"hello\"", "the end-of-file", r#""ack\0""#);
}

#[test]
fn half_an_answer_is_a_failure() {
    let folder = Folder::new().server("day04", |listener| drop(answer_hello(&listener, b"ac")), "");
    let report = folder.outcome("day04", &[]);
    assert_failed(&report, "sends \"hello\"", r#""ack\0""#, "the end-of-file after \"ac\"");
}

#[test]
fn a_reset_in_place_of_the_end_is_a_failure() {
    let folder = Folder::new().server(
        "day04",
        |listener| {
            let client = answer_hello(&listener, b"ack\0");
            // The client's half of the connection is still open, so wait until it has read
            // the answer; a reset would take that away too.
            thread::sleep(std::time::Duration::from_millis(100));
            testkit::reset(client);
        },
        "exit 0",
    );
    let report = folder.outcome("day04", &[]);
    assert_failed(&report, "sends \"hello\"", "the end-of-file", "a reset");
}

#[test]
fn a_killed_run_leaves_no_program_behind() {
    for day in ["day01", "day03"] {
        let folder = Folder::new().script(day, "echo $$ > \"$0.pid\"; exec sleep 60");
        let number = day.trim_start_matches("day0");
        let mut run = folder.command(&["--json", "--day", number]).spawn().unwrap();
        let mut pid = String::new();
        testkit::wait_until("the program's start", || {
            pid =
                fs::read_to_string(folder.0.path().join(format!("{day}.pid"))).unwrap_or_default();
            pid.ends_with('\n')
        });
        run.kill().unwrap();
        run.wait().unwrap();
        // The file is empty once the process is dead, even as a zombie.
        let command_line = format!("/proc/{}/cmdline", pid.trim());
        testkit::wait_until("the program's end", || {
            fs::read(&command_line).unwrap_or_default().is_empty()
        });
    }
}
