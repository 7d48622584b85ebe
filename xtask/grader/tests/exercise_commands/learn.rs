//! `cargo xtask learn`, on a terminal and without one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use testkit::{holds_within, io_uring_or_skip};

use super::workspace::{LONG, Workspace, text};

/// The tool on its own terminal of 80 columns and 24 rows.
struct Screen {
    child: Child,
    keys: File,
    seen: Arc<Mutex<String>>,
}

impl Screen {
    fn new(workspace: &Workspace, arguments: &[&str]) -> Screen {
        Screen::of(workspace.xtask(arguments))
    }

    fn of(mut command: Command) -> Screen {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(&size, None).expect("a terminal");
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
        command.env("TERM", "xterm").env("NO_COLOR", "1").env("EDITOR", "true");
        // A separate process group, as a shell makes it: an orphaned group cannot be stopped.
        command.process_group(0);
        command.stdin(end(&terminal.slave)).stdout(end(&terminal.slave));
        let child = command.stderr(end(&terminal.slave)).spawn().expect("the tool");
        drop((command, terminal.slave));
        let seen = Arc::new(Mutex::new(String::new()));
        let theirs = Arc::clone(&seen);
        let mut output = File::from(terminal.master.try_clone().expect("a descriptor"));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with an error when no process has the other side open any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                theirs.lock().expect("a lock").push_str(&text(&bytes[..count]));
            }
        });
        Screen { child, keys: File::from(terminal.master), seen }
    }

    /// The output since the last key.
    fn drawn(&self) -> String {
        self.seen.lock().expect("a lock").clone()
    }

    #[track_caller]
    fn shows(&self, words: &str) {
        let found = holds_within(LONG, || self.drawn().contains(words));
        assert!(found, "{words:?} is not in {:?}", self.drawn());
    }

    fn press(&mut self, keys: &str) {
        self.seen.lock().expect("a lock").clear();
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_learner_passes_an_exercise_is_killed_and_goes_on() {
    if !io_uring_or_skip("a_learner_passes_an_exercise_is_killed_and_goes_on") {
        return;
    }
    let workspace = Workspace::new("exercise_learn");
    let mut screen = Screen::new(&workspace, &["learn"]);
    screen.shows("An entry there, a completion back");
    screen.shows("0 of ");
    screen.press("h");
    screen.shows("Hint 1 of 3");
    screen.press("n");
    screen.shows("The next one opens when this one is passed");
    screen.press("c");
    screen.shows("E-NOT-SUBMITTED");
    screen.press("t");
    screen.shows("1 entry never submitted");
    // Saved by an editor elsewhere.
    screen.press("i");
    let solution = workspace.exercise("first_nop").solution();
    fs::copy(solution, workspace.program("first_nop")).expect("a save");
    screen.shows("first_nop: passed");
    screen.shows("1 of ");
    screen.child.kill().expect("a signal");
    screen.child.wait().expect("an end");

    let second = workspace.exercises()[1].name.clone();
    let mut screen = Screen::new(&workspace, &["learn"]);
    screen.shows(&format!("Day 1: {second}"));
    screen.shows("1 of ");
    screen.press("s");
    screen.shows("Give it up and see the solution?");
    screen.press("x");
    screen.shows("Nothing was changed.");
    screen.press("sy");
    screen.shows("1 given up");
    screen.press("q");
    let mut status = None;
    let ended = holds_within(testkit::PATIENCE, || {
        status = screen.child.try_wait().expect("a child");
        status.is_some()
    });
    assert!(ended && status.is_some_and(|status| status.success()), "{status:?}");
    // The cursor and the old screen are restored.
    screen.shows("\x1b[?25h\x1b[?1049l");
}

#[test]
fn any_exercise_can_be_chosen_and_ctrl_z_suspends() {
    let workspace = Workspace::new("exercise_choose");
    let mut screen = Screen::new(&workspace, &["learn"]);
    screen.shows("Your program: workbook/src/bin/first_nop.rs");
    screen.press("?");
    screen.shows("put the starter back; your program is kept");
    screen.press("l12");
    screen.shows(">   12 rearm");
    screen.press("\r");
    screen.shows("Day 3: rearm");
    // Three down from the present one.
    screen.press("l\x1b[B\x1b[B\x1b[B\r");
    screen.shows("Day 3: last_orders");

    screen.press("\x1a");
    let pid = Pid::from_raw(screen.child.id() as i32);
    let stopped = || waitpid(pid, Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG));
    testkit::wait_until("the stop", || stopped() == Ok(WaitStatus::Stopped(pid, Signal::SIGTSTP)));
    screen.shows("\x1b[?25h\x1b[?1049l");
    screen.press("");
    kill(pid, Signal::SIGCONT).expect("a signal");
    screen.shows("\x1b[?1049h");
    screen.shows("Day 3: last_orders");
    screen.press("q");
    testkit::wait_until("the end", || screen.child.try_wait().expect("a child").is_some());
}

#[test]
fn the_libraries_are_compiled_while_the_task_is_read() {
    let workspace = Workspace::new("exercise_first");
    // A tool in an empty target folder, and a slow Cargo.
    let target = workspace.0.join("target/debug");
    fs::create_dir_all(&target).expect("a folder");
    let tool = target.join("xtask");
    if fs::hard_link(env!("CARGO_BIN_EXE_grader"), &tool).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_grader"), &tool).expect("a copy");
    }
    let cargo = workspace.0.join("cargo");
    let script = "#!/bin/sh\ntouch \"$0.called\"\nuntil [ -e \"$0.go\" ]; do sleep 0.1; done\n\
                  echo 'error: no compiler' >&2\nexit 1\n";
    fs::write(&cargo, script).expect("a script");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("ours");

    let mut command = Command::new(&tool);
    command.arg("learn").env("CARGO_MANIFEST_DIR", workspace.0.join("xtask")).env("CARGO", &cargo);
    let mut screen = Screen::of(command);
    screen.shows("The libraries are being compiled, this once");
    testkit::wait_until("the compilation", || workspace.0.join("cargo.called").exists());
    screen.press("h");
    screen.shows("Hint 1 of 3");
    screen.press("c");
    screen.shows("waiting for the libraries, then compiling first_nop");
    // The page that was opened meanwhile stays.
    screen.press("?");
    screen.shows("put the starter back; your program is kept");
    screen.press("n");
    screen.shows("The next one opens when this one is passed");
    screen.shows("waiting for the libraries, then compiling first_nop");
    fs::write(workspace.0.join("cargo.go"), "").expect("a file");
    screen.shows("error: no compiler");
    screen.shows("first_nop: does not compile");
    screen.press("q");

    let mut command = Command::new(tool);
    command.args(["exercise", "check", "first_nop"]).env("CARGO", &cargo);
    command.env("CARGO_MANIFEST_DIR", workspace.0.join("xtask"));
    Screen::of(command).shows("compiling first_nop and, this once, the libraries: about a minute");
}

#[test]
fn without_a_terminal_there_are_only_lines() {
    let workspace = Workspace::new("exercise_plain");
    let mut command = workspace.xtask(&["learn"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (keys, mut typed) = nix::unistd::pipe().map(|(r, w)| (r, File::from(w))).expect("a pipe");
    typed.write_all(b"h\ns\nn\nl\n3\nq\n").expect("a pipe");
    command.stdin(Stdio::from(keys));
    let output = testkit::output_within(command, LONG).expect("an end");
    let lines = text(&output.stdout);
    assert!(output.status.success(), "{lines}{}", text(&output.stderr));
    assert!(!lines.contains('\x1b'), "no control sequences: {lines:?}");
    for words in
        ["Hint 1 of 3", "> you are here", "0 of ", "Give it up", "Day 1: one_enter", "e edit"]
    {
        // Each text once.
        assert_eq!(lines.matches(words).count(), 1, "{words}: {lines}");
    }
    assert_eq!(lines.matches("An entry there").count(), 2, "the brief, and in the list: {lines}");
    assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
    drop(typed);
}
