//! `xtask bench` before it measures: it reports mistakes at once, and leaves nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(arguments);
    command
}

/// A stand-in for Cargo: it knows no example, and a build writes its process id and keeps running.
fn slow_cargo() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    let script = "#!/bin/sh\ncase $1 in metadata) echo '{}';; *) echo $$ > \"$0.pid\"; exec sleep 60;; esac\n";
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, cargo)
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_wrong_is_said_before_the_build() {
    let (_folder, cargo) = slow_cargo();
    for (arguments, code, expected) in [
        (["--only", "nginx"], 2, "no server is called nginx; there are day04, threads"),
        (["--workload", "echo"], 2, "there are echo-64-1"),
        (["--plot", "/proc/none/x.svg"], 1, "writing /proc/none/x.svg"),
    ] {
        let output = bench(&arguments).env("CARGO", &cargo).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", words(&output));
        assert!(words(&output).contains(expected), "{}", words(&output));
    }
    let output = bench(&[]).env("CARGO", "/nowhere/cargo").output().unwrap();
    assert!(words(&output).contains("cannot start Cargo"), "{}", words(&output));
    assert!(!words(&output).contains("--programs"), "{}", words(&output));
    assert!(!cargo.with_extension("pid").exists(), "something was built");
}

#[test]
fn a_build_ends_with_the_command_that_started_it() {
    if !testkit::io_uring_or_skip("a_build_ends_with_the_command_that_started_it") {
        return;
    }
    let (_folder, cargo) = slow_cargo();
    let mut command = bench(&[]);
    testkit::heed_stop_signals(&mut command);
    let mut running = command.env("CARGO", &cargo).spawn().unwrap();
    let mut pid = String::new();
    testkit::wait_until("the build's start", || {
        pid = fs::read_to_string(cargo.with_extension("pid")).unwrap_or_default();
        pid.ends_with('\n')
    });
    kill(Pid::from_raw(running.id() as i32), Signal::SIGTERM).unwrap();
    running.wait().unwrap();
    // The file is empty once the process is dead, even as a zombie.
    let command_line = format!("/proc/{}/cmdline", pid.trim());
    testkit::wait_until("the build's end", || {
        fs::read(&command_line).unwrap_or_default().is_empty()
    });
}
