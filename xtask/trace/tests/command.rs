//! The tracer as a command: its options, its exit status, what it prints and writes.

#[path = "trace/scenarios/mod.rs"]
mod scenarios;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use testkit::{self, PATIENCE};

/// Not a test: the program that the tests trace.
#[test]
fn traced() {
    scenarios::run_if_asked();
}

macro_rules! needs_io_uring {
    ($test:literal) => {
        if !testkit::io_uring_or_skip($test) {
            return;
        }
    };
}

fn ringtrace(options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
    command.args(options).arg("--").args(program).stdin(Stdio::null());
    testkit::die_with_parent(&mut command);
    command
}

/// The command on a scenario.
fn ringtrace_on(options: &[&str], scenario: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    let words: Vec<&str> = [program.to_str().expect("a path in UTF-8")]
        .into_iter()
        .chain(scenarios::shared::AGAIN)
        .collect();
    let mut command = ringtrace(options, &words);
    command.env("TRACED", scenario);
    command
}

struct Told {
    status: Option<i32>,
    text: String,
}

fn told(mut command: Command) -> Told {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = testkit::output_within(command, PATIENCE).expect("it ends");
    Told {
        status: output.status.code(),
        text: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_exit_status_is_the_programs() {
    assert_eq!(told(ringtrace(&[], &["sh", "-c", "exit 5"])).status, Some(5));
    assert_eq!(told(ringtrace(&[], &["sh", "-c", "kill -TERM $$"])).status, Some(143));
}

#[test]
fn a_program_that_is_not_there() {
    let told = told(ringtrace(&[], &["no-such-program"]));
    assert_eq!(told.status, Some(127));
    assert!(told.text.contains("there is no program no-such-program"), "{}", told.text);
    assert!(told.text.contains("try:"), "{}", told.text);
}

/// As people type it: options before the program, the program's own options after it.
#[test]
fn no_program_is_overwritten_by_events() {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trace_over_a_program");
    fs::copy("/bin/true", &program).expect("a copy");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
    command.arg("--json").arg(&program).arg("8080").stdin(Stdio::null());
    let told = told(command);
    assert_eq!(told.status, Some(2), "{}", told.text);
    assert!(told.text.contains("it is a program"), "{}", told.text);
    assert_eq!(fs::read(&program).expect("it"), fs::read("/bin/true").expect("true"));
    let _ = fs::remove_file(&program);
}

#[test]
fn the_program_needs_no_dashes_before_it() {
    let told = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
        command.args(words).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        testkit::die_with_parent(&mut command);
        let output = testkit::output_within(command, PATIENCE).expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let script = r#"echo "$0 $@""#;
    let words = ["--summary", "sh", "-c", script, "--limit", "--", "--only", "-x"];
    let expected = (Some(0), "--limit -- --only -x\n".to_string());
    assert_eq!(told(&words), expected);
    let words = [&["--summary", "--"][..], &words[1..]].concat();
    assert_eq!(told(&words), expected, "the dashes do no harm");
    assert_eq!(told(&["--no-such-option", "true"]).0, Some(2), "it is not a program");
    assert_eq!(told(&["no-such-program"]).0, Some(127));
}

/// A name can hold any bytes.
#[test]
fn a_programs_name_cannot_drive_the_terminal() {
    // Beside the program, for a second name of its file.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("ringtrace-name-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("\u{1b}[2J\nname");
    let ours = env!("CARGO_BIN_EXE_ringtrace");
    // Some file systems have no hard links.
    let named =
        std::fs::hard_link(ours, &program).or_else(|_| std::fs::copy(ours, &program).map(drop));
    named.expect("a program");
    let told = told(ringtrace(&[], &[program.to_str().expect("UTF-8"), "--help"]));
    std::fs::remove_dir_all(&folder).expect("the folder");
    assert_eq!(told.status, Some(0));
    assert!(!told.text.contains('\u{1b}'), "{:?}", told.text);
    assert!(told.text.contains(r"\u{1b}[2J\nname"), "{}", told.text);
}

#[test]
fn a_program_without_a_ring() {
    let told = told(ringtrace(&[], &["true"]));
    assert_eq!(told.status, Some(0));
    assert!(told.text.contains("never asked for a ring"), "{}", told.text);
    assert!(told.text.contains("execve") || told.text.contains("mmap"), "{}", told.text);
}

/// As Docker does it: the tracer and the program under one filter.
#[test]
fn a_program_that_is_kept_from_io_uring() {
    needs_io_uring!("a_program_that_is_kept_from_io_uring");
    let mut command = ringtrace_on(&[], "nops");
    testkit::block_io_uring(&mut command, libc::EPERM);
    let told = told(command);
    assert!(told.text.contains("refused: EPERM"), "{}", told.text);
    assert!(told.text.contains("Every ring was refused: EPERM 1"), "{}", told.text);
    // The same filter refuses the tracer a ring, too.
    assert!(told.text.contains("why: a seccomp filter"), "{}", told.text);
}

/// Parameters that no kernel grants are no fault of the machine.
#[test]
fn a_ring_that_is_refused_for_its_parameters() {
    needs_io_uring!("a_ring_that_is_refused_for_its_parameters");
    let told = told(ringtrace_on(&["--summary"], "refused"));
    assert!(told.text.contains("Every ring was refused: EINVAL 1."), "{}", told.text);
    assert!(told.text.contains("why: a submission queue holds 1 to 32768"), "{}", told.text);
    assert!(told.text.contains("`cargo run -p day02 -- --entries 70000`"), "{}", told.text);
    assert!(!told.text.contains("day01"), "{}", told.text);
}

#[test]
fn the_text_goes_forward_in_time_and_says_how_long_each_operation_took() {
    needs_io_uring!("the_text_goes_forward_in_time_and_says_how_long_each_operation_took");
    let text = told(ringtrace_on(&[], "submits_and_waits")).text;
    let events = text.split("Summary").next().expect("the events");
    let time = |line: &str| line.split_whitespace().next()?.parse::<f64>().ok();
    let times: Vec<f64> = events.lines().filter_map(time).collect();
    assert!(times.len() > 1000 && times.is_sorted(), "{events}");
    let mut answers = events.lines().filter(|line| line.contains("←")).skip(1);
    assert!(answers.all(|line| line.contains(" NOP done after ")), "{events}");
}

/// A ring that is granted but hidden differs from a ring that a filter refused.
#[test]
fn a_program_that_may_not_be_read() {
    const CAP_SYS_PTRACE: libc::c_ulong = 19;
    needs_io_uring!("a_program_that_may_not_be_read");
    let mut command = ringtrace_on(&[], "unreadable");
    // Root may read any program by this capability; an ordinary user has none to give up.
    // SAFETY: the closure makes one system call, with plain numbers.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0);
            Ok(())
        });
    }
    let told = told(command);
    assert_eq!(told.status, Some(0), "{}", told.text);
    assert!(told.text.contains("1 ring could not be followed"), "{}", told.text);
    assert!(told.text.contains("may not be read: EPERM"), "{}", told.text);
    assert!(!told.text.contains("refused"), "{}", told.text);
    assert!(!told.text.contains("Nothing was under way"), "it is not known: {}", told.text);
}

#[test]
fn only_limit_and_requests() {
    needs_io_uring!("only_limit_and_requests");
    let all = told(ringtrace_on(&["--only", "TIMEOUT"], "same_user_data")).text;
    let entries = |text: &str| text.lines().filter(|line| line.contains('→')).count();
    assert_eq!(entries(&all), 2, "the legend and the timeout: {all}");
    let limited = told(ringtrace_on(&["--limit", "3"], "nops")).text;
    let events = limited.split("Summary").next().expect("the events");
    assert!(!events.contains("close"), "{limited}");
    assert!(events.contains("that was --limit"), "{limited}");
    assert!(limited.contains("NOP                           3            3"), "{limited}");
    let requests = told(ringtrace_on(&["--summary", "--requests", "3"], "nops")).text;
    assert!(requests.contains("per request, of 3: 0.67 enters, 1.00 entries"), "{requests}");
    assert!(!requests.contains('→'), "no events: {requests}");
    let wrong = told(ringtrace_on(&["--only", "NOTHING"], "nops"));
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.text.contains("there are NOP READV"), "{}", wrong.text);
}

/// The events that the schema describes.
fn described(schema: &Value, events: &mut BTreeSet<String>) {
    if let Some(event) = schema["properties"]["event"]["const"].as_str() {
        events.insert(event.to_string());
    }
    let fields = schema.as_object().into_iter().flat_map(|fields| fields.values());
    let items = schema.as_array().into_iter().flatten();
    fields.chain(items).for_each(|inner| described(inner, events));
}

/// That the fields are those of the schema needs no test: both are derived from one type.
#[test]
fn the_lines_of_json_are_the_events_of_the_schema() {
    needs_io_uring!("the_lines_of_json_are_the_events_of_the_schema");
    let schema: Value =
        serde_json::from_str(include_str!("../src/schema.json")).expect("the schema");
    let mut expected = BTreeSet::new();
    described(&schema, &mut expected);
    // Events that some kernels or timings do not produce, and those of joining a program.
    let rarer = ["register", "unseen", "attach", "found", "let_go"].map(str::to_string);
    let mut seen = BTreeSet::from(rarer);
    // With what the scenarios leave behind.
    let folder = tempfile::tempdir().expect("a folder");
    for (scenario, _) in scenarios::ALL.iter().filter(|(name, _)| *name != "hang") {
        let path = folder.path().join(format!("{scenario}.json"));
        let file = path.to_str().expect("a path in UTF-8");
        let mut command = ringtrace_on(&["--summary", "--json", file], scenario);
        command.env("TMPDIR", folder.path());
        told(command);
        let text = std::fs::read_to_string(&path).expect("the events");
        let events: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .map(|line| line["event"].as_str().expect("a name").to_string())
            .collect();
        let ends = [events.first(), events.last()].map(|event| event.map(String::as_str));
        assert_eq!(ends, [Some("trace"), Some("summary")], "{scenario}");
        seen.extend(events);
    }
    assert_eq!(seen, expected);
}

/// `trace … 2>&1 | head -1` ends neither the program nor the tracer.
#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let mut command = ringtrace(&[], &["sh", "-c", "sleep 0.2; exit 3"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the command");
    let mut reader = BufReader::new(child.stderr.take().expect("its words"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("the first line");
    drop(reader);
    assert_eq!(child.wait().expect("its end").code(), Some(3));
}

/// A signal for the tracer reaches the program: a day stops in order.
#[test]
fn a_signal_is_passed_on() {
    let script = "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut command = ringtrace(&["--summary"], &["sh", "-c", script]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the command");
    let mut stdout = child.stdout.take().expect("its words");
    let mut word = [0; 5];
    stdout.read_exact(&mut word).expect("ready");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("a signal");
    assert_eq!(child.wait().expect("its end").code(), Some(9));
}

/// A program's first child has the next number, as without a tracer.
#[test]
fn no_thread_of_the_tracers_is_younger_than_the_program() {
    let older = || {
        let script = "sleep 0.1; echo $$; ls /proc/$PPID/task";
        let output = ringtrace(&["--summary"], &["sh", "-c", script]).output().expect("a list");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<u32> = text.lines().map(|line| line.parse().expect("a number")).collect();
        let (program, threads) = numbers.split_first().expect("the program");
        assert!(threads.len() > 1, "{text}");
        threads.iter().all(|thread| thread < program)
    };
    // Numbers start over at their end, if rarely.
    assert!(older() || older());
}

/// An inherited descriptor would be one that the program does not have without the tracer.
#[test]
fn the_program_inherits_nothing_of_the_tracers() {
    let list = |mut command: Command| {
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("a list");
        String::from_utf8_lossy(&output.stdout).lines().count()
    };
    let mut alone = Command::new("ls");
    alone.arg("/proc/self/fd");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events");
    let file = path.to_str().expect("a path in UTF-8");
    let traced = list(ringtrace(&["--json", file], &["ls", "/proc/self/fd"]));
    assert_eq!(traced, list(alone));
}

/// A stopped program stays stopped, as it would without a tracer, and continues at SIGCONT.
#[test]
fn a_stopped_program_stays_stopped() {
    let script = "echo $$; read line; exit 4";
    let mut command = ringtrace(&["--summary"], &["sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the command");
    let mut stdout = BufReader::new(child.stdout.take().expect("its words"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("its process id");
    let program = Pid::from_raw(line.trim().parse().expect("a number"));
    kill(program, Signal::SIGSTOP).expect("a signal");
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).expect("its state");
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    };
    // T: stopped; t: stopped by a tracer. A program stopped for good stays in one of them.
    testkit::wait_until("the program to stop", || matches!(state(), Some('T' | 't')));
    drop(child.stdin.take());
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(child.try_wait().expect("its state"), None, "it went on by itself");
    kill(program, Signal::SIGCONT).expect("a signal");
    assert_eq!(child.wait().expect("its end").code(), Some(4));
}

#[test]
fn a_run_is_written_as_a_page_for_perfetto_and_for_the_book() {
    needs_io_uring!("a_run_is_written_as_a_page_for_perfetto_and_for_the_book");
    let folder = tempfile::tempdir().expect("a folder");
    let [page, perfetto, rings] =
        ["run.html", "run.json", "rings.json"].map(|name| folder.path().join(name));
    let options = [("--html", &page), ("--perfetto", &perfetto), ("--recording", &rings)];
    let options: Vec<&str> = options
        .into_iter()
        .flat_map(|(option, file)| [option, file.to_str().expect("UTF-8")])
        .collect();
    let told = told(ringtrace_on(&options, "nops"));
    assert_eq!(told.status, Some(0), "{}", told.text);

    let page = fs::read_to_string(page).expect("the page");
    let data = page.split("class=\"ring-data\">").nth(1).expect("a player");
    let data = data.split("</script>").next().expect("its data");
    let recording: Value = serde_json::from_str(data).expect("JSON");
    let steps = recording["steps"].as_array().expect("steps");
    let written: usize =
        steps.iter().filter_map(|step| step["entries"].as_array()).map(Vec::len).sum();
    assert!(written > 0 && steps.iter().any(|step| step["do"] == "complete"), "{data}");
    assert!(steps.iter().skip(1).all(|step| step["event"].is_u64()), "{data}");

    let text = fs::read_to_string(rings).expect("the rings");
    let rings: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(rings["rings"], json!([recording]), "the same as in the page");
    assert_eq!(recording["counts"]["entries"], written, "{data}");
    assert!(rings["diagnoses"].is_array(), "{text}");

    let text = fs::read_to_string(perfetto).expect("the file");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let ids = |phase: &str| -> BTreeSet<String> {
        let of = events.iter().filter(|event| event["ph"] == phase);
        of.map(|event| event["id"].as_str().expect("an id").to_string()).collect()
    };
    assert_eq!(ids("b").len(), written, "{text}");
    assert_eq!(ids("b"), ids("e"), "every slice that begins ends");
    assert!(events.iter().any(|event| event["name"] == "io_uring_enter"), "{text}");
}
