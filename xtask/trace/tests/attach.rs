//! `ringtrace --attach`: joining a program that runs, and letting go of it.

#[path = "attach/programs.rs"]
mod programs;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "trace/scenarios/raw.rs"]
mod raw;
#[path = "attach/running.rs"]
mod running;

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use testkit::PATIENCE;

use running::{Joined, Running, again, ringtrace};

/// Not a test: the program that the tests join.
#[test]
fn attached() {
    programs::run_if_asked();
}

macro_rules! needs_io_uring {
    ($test:literal) => {
        if !testkit::io_uring_or_skip($test) {
            return;
        }
    };
}

/// The events of one kind.
fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// A refused attach: returns the message.
fn refused(mut command: Command) -> String {
    command.arg("--summary");
    let output = testkit::output_within(command, PATIENCE).expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_program_under_load_is_joined_and_goes_on() {
    needs_io_uring!("a_program_under_load_is_joined_and_goes_on");
    for (program, flags) in [
        ("busy", vec![]),
        ("busy_large", vec!["SQE128", "CQE32"]),
        ("busy_own_memory", vec!["NO_MMAP"]),
        ("busy_hidden", vec!["NO_MMAP"]),
    ] {
        let Some(running) = Running::start(again(program)) else { continue };
        let mut joined = Joined::start(ringtrace(&running.pid()));
        joined.says("attach");
        joined.says("found");
        joined.says("←");
        joined.says("← 40");
        let (rest, events) = joined.let_go();
        let nops = running.end();
        let nops: u64 = nops.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");

        let [found] = of(&events, "found")[..] else { panic!("{program}: one ring: {events:#?}") };
        let shown: Vec<&str> = found["flags"]
            .as_array()
            .expect("flags")
            .iter()
            .filter_map(Value::as_str)
            .filter(|flag| *flag != "NO_SQARRAY")
            .collect();
        assert_eq!(shown, flags, "{program}");
        let in_flight = if flags.contains(&"NO_MMAP") { 0 } else { 1 };
        assert_eq!(found["in_flight"], in_flight, "{program}: the receive");
        let submits = of(&events, "submit");
        assert!(submits.iter().all(|event| event["op"] == "NOP"), "{program}: {submits:#?}");
        assert!(submits.len() as u64 <= nops && submits.len() >= 36, "{program}");
        let enters = of(&events, "enter");
        assert!(enters.iter().all(|event| event["ring"] == 1), "{program}: {enters:#?}");
        let completes = of(&events, "complete");
        let paired = completes.iter().all(|event| event["op"] == "NOP");
        assert!(paired, "{program}: {completes:#?}");
        let summary = events.last().expect("a summary");
        let unseen = [&summary["unseen_entries"], &summary["unseen_completions"]];
        assert_eq!(unseen, [0, 0], "{program}");
        assert_eq!(summary["let_go"], true);
        assert!(rest.contains("let go") && rest.contains("it goes on"), "{program}: {rest}");
    }
}

/// What went in before is known by where it still lies.
#[test]
fn an_entry_from_before_is_told_and_its_completion_is_paired() {
    needs_io_uring!("an_entry_from_before_is_told_and_its_completion_is_paired");
    let mut running = Running::of("echo");
    running.falls_asleep();
    let mut joined = Joined::start(ringtrace(&running.pid()));
    joined.says("READ fd 0");
    joined.says("and sleeps");
    running.echoes("x");
    joined.says("← 1");
    let (_, events) = joined.let_go();
    let before = &of(&events, "found")[0]["entries"];
    assert_eq!((before[0]["op"].as_str(), &before[0]["seq"]), (Some("READ"), &1.into()));
    let answer = of(&events, "complete")[0];
    assert_eq!(
        (&answer["seq"], &answer["op"], &answer["res"]),
        (&1.into(), &"READ".into(), &1.into())
    );
    assert!(answer.get("after_us").is_none(), "it is not known when it began");
    running.end();
}

#[test]
fn a_thread_that_sleeps_is_left_asleep() {
    needs_io_uring!("a_thread_that_sleeps_is_left_asleep");
    let mut running = Running::of("echo");
    running.falls_asleep();
    for _ in 0..3 {
        let mut command = ringtrace(&running.pid());
        command.args(["--for", "0.1"]);
        let (rest, events) = Joined::start(command).ends();
        assert!(rest.contains("and sleeps"), "{rest}");
        assert_eq!(of(&events, "let_go").len(), 1);
    }
    running.echoes("x");
    assert_eq!(running.end(), "");
}

/// The program sees neither the stop that begins a trace, nor a signal that it ignores, nor the end
/// of the trace.
#[test]
fn a_wait_is_cut_short_by_nothing() {
    needs_io_uring!("a_wait_is_cut_short_by_nothing");
    let mut running = Running::of("echo");
    running.falls_asleep();
    let mut joined = Joined::start(ringtrace(&running.pid()));
    joined.says("and sleeps");
    // It wakes up, is traced from then on, and sleeps again.
    running.echoes("a");
    joined.says("enter");
    for signal in [Signal::SIGWINCH, Signal::SIGCHLD, Signal::SIGURG] {
        running.disturb(signal);
    }
    for byte in ["b", "c"] {
        running.echoes(byte);
        joined.says("← ");
    }
    running.falls_asleep();
    let (rest, _) = joined.let_go();
    assert!(!rest.contains("EINTR"), "{rest}");
    running.echoes("d");
    assert_eq!(running.end(), "");
}

/// An operation fails if the kernel's thread that does it is traced.
#[test]
fn what_a_worker_does_is_not_disturbed() {
    needs_io_uring!("what_a_worker_does_is_not_disturbed");
    let running = Running::of("worker");
    let mut joined = Joined::start(ringtrace(&running.pid()));
    joined.says("SPLICE");
    let names = std::fs::read_dir(format!("/proc/{}/task", running.pid())).expect("its threads");
    let names =
        names.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let own = names.filter(|name| !name.starts_with("iou-")).count();
    let (_, events) = joined.let_go();
    assert_eq!(of(&events, "attach")[0]["threads"], own);
    assert_eq!(running.end(), "1\n");
}

#[test]
fn what_a_joined_program_starts_is_followed() {
    needs_io_uring!("what_a_joined_program_starts_is_followed");
    let mut running = Running::of("starts");
    let mut joined = Joined::start(ringtrace(&running.pid()));
    joined.says("attach");
    // Its only thread may not have stopped yet, and then the first task that it starts can be
    // missed.
    for _ in 0..3 {
        running.write("x");
        assert_eq!(running.line(), "started");
    }
    joined.says("exit");
    joined.says("exit");
    let (_, events) = joined.let_go();
    assert_eq!(running.end(), "");
    let processes = of(&events, "task").iter().filter(|task| task["process"] == true).count();
    let threads = of(&events, "task").len() - processes;
    assert!(processes >= 2 && threads >= 2, "{events:#?}");
    assert!(of(&events, "setup").len() >= 4 && of(&events, "submit").len() >= 8, "{events:#?}");
}

/// People join programs that hang. What is in flight from before is not always known.
#[test]
fn a_hanging_program_is_explained() {
    needs_io_uring!("a_hanging_program_is_explained");
    for (program, hangs) in [("stuck", true), ("waits", false)] {
        let running = Running::of(program);
        running.falls_asleep();
        let mut command = ringtrace(&running.pid());
        command.args(["--for", "3"]);
        let (rest, events) = Joined::start(command).ends();
        assert_eq!(of(&events, "diagnosis").len(), usize::from(hangs), "{program}: {rest}");
        assert_eq!(rest.contains("may be under way as well"), !hangs, "{program}: {rest}");
        kill(Pid::from_raw(running.pid as i32), Signal::SIGKILL).expect("it");
        running.end();
    }
}

#[test]
fn a_program_without_a_ring() {
    let mut command = Command::new("sleep");
    command.arg("600").stdout(Stdio::piped());
    testkit::die_with_parent(&mut command);
    let mut child = command.spawn().expect("sleep");
    let mut command = ringtrace(&child.id().to_string());
    command.args(["--for", "0.1"]);
    let (rest, _) = Joined::start(command).ends();
    assert!(rest.contains("has no ring, and asked for none meanwhile"), "{rest}");
    assert_eq!(child.try_wait().expect("its state"), None, "it sleeps on");
    child.kill().expect("it");
    child.wait().expect("its end");
}

/// A tracer that is killed does not kill the program.
#[test]
fn a_joined_program_outlives_its_tracer() {
    needs_io_uring!("a_joined_program_outlives_its_tracer");
    let running = Running::of("busy");
    let mut joined = Joined::start(ringtrace(&running.pid()));
    joined.says("←");
    joined.child.kill().expect("ringtrace");
    joined.child.wait().expect("its end");
    assert!(running.end().contains("NOPs"));
}

#[test]
fn a_program_that_ends_ends_the_trace() {
    needs_io_uring!("a_program_that_ends_ends_the_trace");
    let running = Running::of("busy");
    let mut joined = Joined::start(ringtrace(&running.pid()));
    joined.says("←");
    assert!(running.end().contains("NOPs"));
    let (rest, events) = joined.ends();
    assert!(rest.contains("status 0"), "{rest}");
    assert_eq!(of(&events, "let_go").len(), 0);
    assert_eq!(of(&events, "close").len(), 1);
}

#[test]
fn a_reader_that_goes_away_ends_the_trace() {
    needs_io_uring!("a_reader_that_goes_away_ends_the_trace");
    let mut running = Running::of("echo");
    let mut joined = Joined::start(ringtrace(&running.pid()));
    joined.says("attach");
    drop(joined.words);
    assert_eq!(joined.child.wait().expect("its end").code(), Some(0));
    running.echoes("x");
    running.end();
}

#[test]
fn an_ordinary_user_joins_a_program_of_its_own() {
    needs_io_uring!("an_ordinary_user_joins_a_program_of_its_own");
    let mut command = again("busy");
    if !testkit::as_ordinary_user(&mut command) {
        testkit::skipped(
            "an_ordinary_user_joins_a_program_of_its_own",
            "it cannot be run by others",
        );
        return;
    }
    let running = Running::start(command).expect("a program");
    let mut command = ringtrace(&running.pid());
    testkit::as_ordinary_user(&mut command);
    let mut joined = Joined::start(command);
    joined.says("found");
    joined.says("←");
    joined.let_go();
    assert!(running.end().contains("NOPs"));
}

#[test]
fn a_refusal_names_the_rule() {
    needs_io_uring!("a_refusal_names_the_rule");
    let told = refused(ringtrace("2000000000"));
    assert!(told.contains("there is no process 2000000000"), "{told}");
    let mut itself = Command::new("sh");
    itself.args(["-c", "exec \"$0\" --attach $$ \"$@\"", env!("CARGO_BIN_EXE_ringtrace")]);
    itself.stderr(Stdio::piped());
    let told = refused(itself);
    assert!(told.contains("is this very tracer"), "{told}");

    let running = Running::of("busy");
    let mut first = Joined::start(ringtrace(&running.pid()));
    first.says("←");
    let told = refused(ringtrace(&running.pid()));
    let tracer = format!("process {} (ringtrace) traces it already", first.child.id());
    assert!(told.contains(&tracer) && told.contains("kill -INT"), "{told}");
    first.let_go();
    running.end();
}

#[test]
fn an_ordinary_user_is_refused_what_is_not_its_own() {
    needs_io_uring!("an_ordinary_user_is_refused_what_is_not_its_own");
    let test = "an_ordinary_user_is_refused_what_is_not_its_own";
    let root = Running::of("echo");
    let mut stranger = ringtrace(&root.pid());
    let mut hides = again("hides");
    if !(testkit::as_ordinary_user(&mut stranger) && testkit::as_ordinary_user(&mut hides)) {
        return testkit::skipped(test, "it cannot be run by others");
    }
    // SAFETY: it only returns our user id.
    if unsafe { libc::geteuid() } == 0 {
        let told = refused(stranger);
        assert!(told.contains("it runs as user 0, you are user"), "{told}");
        assert!(told.contains("sudo ringtrace --attach"), "{told}");
    }
    let hides = Running::start(hides).expect("a program");
    let mut command = ringtrace(&hides.pid());
    testkit::as_ordinary_user(&mut command);
    let told = refused(command);
    assert!(told.contains("it is not dumpable"), "{told}");
    hides.end();
    root.end();
}

#[test]
fn words_that_exclude_each_other() {
    let told = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
        command.args(words).stderr(Stdio::piped());
        let output = testkit::output_within(command, PATIENCE).expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for words in [
        &["--attach", "1", "true"][..],
        &["--attach", "1", "--fast"],
        &["--attach", "none"],
        &["--attach", "0"],
        &["--for", "0", "true"],
        &["--for", "x", "true"],
        &[],
    ] {
        assert_eq!(told(words).0, Some(2), "{words:?}: {}", told(words).1);
    }
}

/// A program that was started gets SIGINT, as by Ctrl-C.
#[test]
fn a_program_that_was_started_is_asked_to_end() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
    let script = "trap 'exit 9' INT; while :; do sleep 0.05; done";
    command.args(["--summary", "--for", "0.3", "sh", "-c", script]).stderr(Stdio::null());
    testkit::die_with_parent(&mut command);
    let output = testkit::output_within(command, PATIENCE).expect("it ends");
    // On a busy machine the signal may come before the trap is set.
    assert!([Some(9), Some(130)].contains(&output.status.code()), "{:?}", output.status);
}
