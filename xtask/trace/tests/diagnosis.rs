//! Programs that have one fault each (`diagnosis/faults.rs`) get its diagnosis; their twins, in
//! which it is mended, get none.

#[path = "diagnosis/faults.rs"]
mod faults;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use ringtrace::event::Diagnosis;
use ringtrace::launch::Program;
use ringtrace::{Ended, Trace};
use testkit::{self, PATIENCE, Server};
use toolbox::programs::{self, Source};

/// Not a test: the program that the tests trace.
#[test]
fn traced() {
    faults::run_if_asked();
}

/// What is found in a program, and its status; `None` if this kernel is too old for it. A program
/// that hangs is stopped when `enough` was found.
fn diagnoses(fault: &str, twin: &str, enough: &str) -> Option<(Vec<Diagnosis>, i32)> {
    let program = Program {
        program: std::env::current_exe().expect("this program").into_os_string(),
        args: faults::AGAIN.map(Into::into).to_vec(),
        env: vec![("FAULT".into(), fault.into()), ("TWIN".into(), twin.into())],
        ..Default::default()
    };
    let trace = Trace::start(program, false, Vec::new()).expect("a trace");
    let named = || trace.summary().diagnoses.iter().any(|found| found.kind == enough);
    testkit::holds_within(PATIENCE, || trace.ended() || named());
    let Ended { status, summary, failure } = match trace.ended() {
        true => trace.finish(),
        false => trace.stop(Duration::ZERO).0,
    };
    assert_eq!(failure, None);
    (status != faults::NOT_HERE).then_some((summary.diagnoses, status))
}

/// Checks every fault, several at a time, for they mostly sleep. Returns all complaints.
fn complaints(about: impl Fn(&faults::Fault) -> Option<String> + Sync) -> Vec<String> {
    const AT_A_TIME: usize = 8;
    let ask = |some: &[faults::Fault]| -> Vec<String> {
        std::thread::scope(|scope| {
            let about = &about;
            let asked: Vec<_> =
                some.iter().map(|fault| scope.spawn(move || about(fault))).collect();
            asked.into_iter().filter_map(|it| it.join().expect("an answer")).collect()
        })
    };
    faults::ALL.chunks(AT_A_TIME).flat_map(ask).collect()
}

#[test]
fn a_fault_is_named_by_its_kind() {
    if !testkit::io_uring_or_skip("a_fault_is_named_by_its_kind") {
        return;
    }
    let wrong = complaints(|(name, kind, _)| {
        let Some((found, status)) = diagnoses(name, "faulty", kind) else {
            eprintln!("SKIPPED: {name} needs a later kernel");
            return None;
        };
        let named = found.iter().any(|it| it.kind == *kind);
        (!named).then(|| format!("{name}, status {status}: {found:#?}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_wrong_with_a_twin_that_was_mended() {
    if !testkit::io_uring_or_skip("nothing_is_wrong_with_a_twin_that_was_mended") {
        return;
    }
    let wrong = complaints(|(name, ..)| {
        let (found, status) = diagnoses(name, "mended", "")?;
        let clean = found.is_empty() && status == 0;
        (!clean).then(|| format!("{name}, mended, status {status}: {found:#?}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each kind that a rule can find is found by a test.
#[test]
fn every_kind_has_a_fault() {
    let rules = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/diagnosis"));
    for file in rules.expect("the rules") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("Rust");
        let kinds = text.split("Kind::new(").skip(1).chain(text.split("Kind::concluded(").skip(1));
        for kind in kinds.filter_map(|text| text.split('"').nth(1)) {
            let has_one = faults::ALL.iter().any(|(_, known, _)| *known == kind);
            assert!(has_one, "no program has the fault {kind}");
        }
    }
}

/// Reported while it hangs, and only once.
#[test]
fn a_hang_is_told_while_it_lasts() {
    if !testkit::io_uring_or_skip("a_hang_is_told_while_it_lasts") {
        return;
    }
    let (found, _) = diagnoses("waits_for_more", "faulty", "dead-wait").expect("every kernel");
    let told: Vec<_> = found.iter().map(|it| (it.kind, it.times)).collect();
    assert_eq!(told, [("dead-wait", 1)]);
    assert!(found[0].found_us < PATIENCE.as_micros() as u64);
}

/// The days have no fault. The servers have clients that talk, that are cut off and that are silent,
/// and are stopped in the end.
#[test]
fn nothing_is_wrong_with_the_days() {
    if !testkit::io_uring_or_skip("nothing_is_wrong_with_the_days") {
        return;
    }
    let days = ["day01", "day03", "day04"];
    let built = programs::find(&Source::Build { release: false, quiet: true }, &days);
    let built = built.expect("Cargo");
    let listen = ["--json", "--listen", "127.0.0.1:0"];
    let echo = [&listen[..], &["--reply", "echo", "--buffers", "4"]].concat();
    let polled = [&listen[..], &["--sqpoll", "--sq-idle", "20"]].concat();
    let runs: [(&str, &[&str]); 5] = [
        ("day01", &[]),
        ("day03", &listen),
        ("day04", &listen),
        ("day04", &echo),
        ("day04", &polled),
    ];
    for (day, arguments) in runs {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
        command.arg("--summary").arg("--").arg(&built[day]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let summary = if arguments.is_empty() {
            let output = testkit::output_within(command, PATIENCE).expect("its end");
            String::from_utf8_lossy(&output.stderr).into_owned()
        } else {
            let server = Server::start(command).expect("a traced server");
            visit(&server);
            server.stop(Signal::SIGINT).expect("an orderly end").stderr
        };
        assert!(summary.contains("Summary") && !summary.contains("Diagnosis"), "{day}: {summary}");
    }
}

/// The programs of the chapters that read files and then end.
#[test]
fn nothing_is_wrong_with_programs_that_read_files() {
    if !testkit::io_uring_or_skip("nothing_is_wrong_with_programs_that_read_files") {
        return;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let runs: [(&str, &[&str]); 5] = [
        ("tree_sum", &[folder]),
        ("tree_sum", &["--async", "--workers", "2", folder]),
        ("count_lines", &[file, file]),
        ("plugin", &[file]),
        ("file_server", &["--compare", file]),
    ];
    let built = programs::build_examples(&runs.map(|(name, _)| ("day04", name))).expect("Cargo");
    for (name, arguments) in runs {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
        command.arg("--summary").arg("--").arg(&built[name]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = testkit::output_within(command, PATIENCE).expect("its end");
        let summary = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {summary}");
        assert!(summary.contains("Summary") && !summary.contains("Diagnosis"), "{name}: {summary}");
    }
}

/// Clients of every kind, and a silent client that stays longer than it takes to detect a hang.
fn visit(server: &Server) {
    let connect = || server.connect().expect("a connection");
    let stays = connect();
    for _ in 0..3 {
        let clients: Vec<TcpStream> = (0..4).map(|_| connect()).collect();
        for mut client in clients {
            client.write_all(b"hello\0").expect("sending");
            client.shutdown(Shutdown::Write).expect("the end of the request");
            client.read_to_end(&mut Vec::new()).expect("an answer");
        }
        drop(connect());
    }
    std::thread::sleep(Duration::from_millis(2600));
    drop(stays);
}
