//! The tracer against the kernel's own record: the tracepoints `io_uring_submit_req` and
//! `io_uring_complete`, which only root can read, say which entries were taken and which
//! completions posted. For each of the four days both must agree, operation by operation; and the
//! tracer must conclude where each operation ran as the tracepoints record it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::{self, PATIENCE, Server};
use toolbox::programs::{self, Source};

/// How many entries or completions each operation had.
type Counts = BTreeMap<String, u64>;

/// The events of the record. A submission's is called `…_sqe` up to Linux 6.3.
const EVENTS: [&str; 5] = [
    "io_uring_create",
    "io_uring_submit_req",
    "io_uring_submit_sqe",
    "io_uring_req_failed",
    "io_uring_complete",
];

/// A tracing instance of our own, so that other tracing is not disturbed.
struct Tracepoints(PathBuf);

impl Tracepoints {
    /// `None` if they cannot be read: no root, no tracefs, or no such events.
    fn open(name: &str) -> Option<Tracepoints> {
        let root = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
            .into_iter()
            .map(Path::new)
            .find(|root| root.join("events/io_uring").is_dir())?;
        let folder = root.join(format!("instances/xtask-{name}-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let tracepoints = Tracepoints(folder);
        tracepoints.write("buffer_size_kb", "8192")?;
        // The default clock differs from one CPU to the other: a polling thread's first entry
        // could be recorded as earlier than its ring.
        tracepoints.write("trace_clock", "mono")?;
        let enable = |event: &str| {
            tracepoints.write(&format!("events/io_uring/{event}/enable"), "1").is_some()
        };
        let enabled = EVENTS.iter().filter(|event| enable(event)).count();
        (enabled >= EVENTS.len() - 1).then_some(tracepoints)
    }

    fn write(&self, file: &str, text: &str) -> Option<()> {
        fs::write(self.0.join(file), text).ok()
    }

    /// What the kernel recorded for the rings that these threads made.
    fn record(&self, threads: &HashSet<u64>) -> Record {
        self.write("tracing_on", "0").expect("stopping the record");
        let text = fs::read(self.0.join("trace")).expect("the record");
        let text = String::from_utf8_lossy(&text);
        let mut record = Record::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            record.line(line, threads);
        }
        record
    }
}

impl Drop for Tracepoints {
    fn drop(&mut self) {
        let _ = self.write("events/enable", "0");
        // A child of another test holds our files open until its exec.
        testkit::holds_within(PATIENCE, || fs::remove_dir(&self.0).is_ok());
    }
}

#[derive(Default)]
struct Record {
    rings: HashSet<String>,
    /// The operation of each request by its address, and by its `user_data`: for a multishot's
    /// later completions the kernel records only the latter.
    by_request: HashMap<String, String>,
    by_user_data: HashMap<String, String>,
    entries: Counts,
    completions: Counts,
    /// Of these, those that may be the end of a request that was in flight when its ring was
    /// closed: the kernel cancels it, and its completion cannot be seen.
    cancelled: Counts,
}

impl Record {
    /// `day04-1234 [001] ..... 12.345678: io_uring_complete: ring 0x…, req 0x…, …`
    fn line(&mut self, line: &str, threads: &HashSet<u64>) {
        let Some((task, rest)) = line.split_once('[') else { return };
        let thread = task.trim().rsplit_once('-').and_then(|(_, id)| id.parse().ok());
        let Some((event, fields)) = rest
            .split(": ")
            .collect::<Vec<_>>()
            .split_first_chunk::<3>()
            .map(|([_, event, fields], _)| (event.to_string(), fields.to_string()))
        else {
            return;
        };
        let field = |name: &str| {
            let found = fields.split(", ").find_map(|field| field.strip_prefix(name));
            found.and_then(|value| value.split_whitespace().next()).unwrap_or_default().to_string()
        };
        let ring = field("ring ");
        if event == "io_uring_create" {
            // The address may have been another's ring before.
            self.rings.remove(&ring);
            if thread.is_some_and(|thread| threads.contains(&thread)) {
                self.rings.insert(ring);
            }
            return;
        }
        if !self.rings.contains(&ring) {
            return;
        }
        let (request, user_data) = (field("req "), field("user_data "));
        match event.as_str() {
            // A request that is refused at once is recorded as failed and not as submitted.
            "io_uring_submit_req" | "io_uring_submit_sqe" | "io_uring_req_failed" => {
                let op = [field("opcode "), field("op_str ")].concat();
                *self.entries.entry(op.clone()).or_default() += 1;
                self.by_request.insert(request, op.clone());
                self.by_user_data.insert(user_data, op);
            }
            "io_uring_complete" => {
                let op = self.by_request.get(&request).or(self.by_user_data.get(&user_data));
                let op = op.cloned().unwrap_or_else(|| "?".to_string());
                if field("result ") == (-libc::ECANCELED).to_string() {
                    *self.cancelled.entry(op.clone()).or_default() += 1;
                }
                *self.completions.entry(op).or_default() += 1;
            }
            _ => {}
        }
    }
}

/// What the tracer reported.
struct Told {
    threads: HashSet<u64>,
    entries: Counts,
    completions: Counts,
    /// Entries and completions of a polled ring that went by between two looks.
    unseen: (u64, u64),
}

fn told(lines: &[Value]) -> Told {
    let threads: HashSet<u64> = lines.iter().filter_map(|line| line["tid"].as_u64()).collect();
    let summary = lines.last().expect("a summary");
    let counts = |field: &str, count: fn(&Value) -> Option<u64>| {
        let object = summary[field].as_object().expect("counts by operation");
        object.iter().map(|(op, value)| (op.clone(), count(value).expect("a count"))).collect()
    };
    let number = |field: &str| summary[field].as_u64().expect("a number");
    Told {
        threads,
        entries: counts("entries", Value::as_u64),
        completions: counts("completions", |value| value["count"].as_u64()),
        unseen: (number("unseen_entries"), number("unseen_completions")),
    }
}

/// Equal operation by operation, or in total where some went by unseen.
fn assert_agree(what: &str, told: &Counts, unseen: u64, recorded: &Counts) {
    if unseen == 0 {
        assert_eq!(told, recorded, "{what}, as told and as recorded");
    } else {
        let all = |counts: &Counts| counts.values().sum::<u64>();
        assert_eq!(all(told) + unseen, all(recorded), "{what}: {told:?}, {recorded:?}");
    }
}

/// The events of a day, traced with these options while `visit` is its client.
fn trace(
    day: &str,
    options: &[&str],
    arguments: &[&str],
    visit: Option<fn(&Server)>,
) -> Vec<Value> {
    let built = programs::find(&Source::Build { release: false, quiet: true }, &[day]);
    let program = built.expect("Cargo").remove(day).expect("the day's program");
    let path =
        std::env::temp_dir().join(format!("xtask-{day}-{}-{}", options.len(), std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
    command.arg("--summary").args(options).arg("--json").arg(&path).arg("--").arg(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    match visit {
        Some(visit) => {
            command.stdout(Stdio::piped());
            let server = Server::start(command).expect("a traced server");
            visit(&server);
            let stopped = server.stop(Signal::SIGINT).expect("an orderly end");
            assert!(stopped.status.success(), "{day}: {}", stopped.stderr);
        }
        None => {
            command.stdout(Stdio::null());
            let output = testkit::output_within(command, PATIENCE).expect("its end");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let text = fs::read_to_string(&path).expect("the events");
    let _ = fs::remove_file(&path);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Traces a day, and compares what the tracer says with what the kernel recorded.
fn compare(day: &str, arguments: &[&str], visit: Option<fn(&Server)>) {
    let test = format!("what the tracer tells of {day} is what the kernel recorded");
    if !testkit::io_uring_or_skip(&test) {
        return;
    }
    let Some(tracepoints) = Tracepoints::open(day) else {
        let why = "the kernel's tracepoints cannot be read here (they need root, and `mount -t \
                   tracefs tracefs /sys/kernel/tracing`)";
        return testkit::skipped(&test, why);
    };
    let told = told(&trace(day, &[], arguments, visit));
    let Record { entries, mut completions, cancelled, .. } = tracepoints.record(&told.threads);
    for (op, count) in cancelled {
        let (seen, all) = (told.completions.get(&op).copied().unwrap_or(0), completions[&op]);
        if seen < all && told.unseen.1 == 0 {
            completions.insert(op, seen.max(all - count));
        }
    }
    completions.retain(|_, count| *count > 0);
    assert!(!told.entries.is_empty(), "{day} submits something");
    assert_agree(&format!("{day}: entries"), &told.entries, told.unseen.0, &entries);
    assert_agree(&format!("{day}: completions"), &told.completions, told.unseen.1, &completions);
}

#[test]
fn day01_agrees() {
    compare("day01", &[], None);
}

#[test]
fn day02_agrees() {
    compare("day02", &[], None);
}

#[test]
fn day03_agrees() {
    compare("day03", &["--json", "--listen", "127.0.0.1:0"], Some(visits));
}

#[test]
fn day04_agrees() {
    compare("day04", &["--json", "--reply", "echo", "--listen", "127.0.0.1:0"], Some(visits));
}

/// Traces a day with the tracepoints, and compares what would be told without, completion by
/// completion. One in twenty may be elsewhere: two that come in one enter, for example, of which
/// the first was armed. A task that loses its CPU in an enter looks like one that slept, so a busy
/// machine gets three tries.
fn compare_places(day: &str, arguments: &[&str], visit: Option<fn(&Server)>) {
    let test = format!("where the operations of {day} ran is what the kernel recorded");
    if !testkit::io_uring_or_skip(&test) {
        return;
    }
    if let Err(refusal) = ringtrace::tracepoints::Tracepoints::begin() {
        return testkit::skipped(&test, refusal);
    }
    let differences: Vec<String> = (0..3)
        .map_while(|_| {
            let events = trace(day, &["--tracepoints"], arguments, visit);
            differences(&events).err()
        })
        .collect();
    assert!(differences.len() < 3, "{day}: {differences:#?}");
}

fn differences(events: &[Value]) -> Result<(), String> {
    let summary = events.last().expect("a summary");
    let completions = summary["completions"].as_object().expect("counts by operation").values();
    let of = |place: &str| -> u64 {
        completions.clone().map(|it| it["ran"][place].as_u64().expect("a count")).sum()
    };
    let (exact, mistaken) = (of("exact"), of("mistaken"));
    let elsewhere: Vec<String> = events
        .iter()
        .filter(|event| event["mistaken"].is_string())
        .map(|event| format!("{} ran {}, not {}", event["op"], event["ran"], event["mistaken"]))
        .collect();
    if exact > 0 && mistaken * 20 <= exact {
        return Ok(());
    }
    Err(format!("{mistaken} of {exact}: {elsewhere:?}"))
}

#[test]
fn where_the_operations_of_the_days_ran() {
    compare_places("day01", &[], None);
    compare_places("day02", &[], None);
    compare_places("day03", &["--json", "--listen", "127.0.0.1:0"], Some(visits));
    let day04 = ["--json", "--reply", "echo", "--listen", "127.0.0.1:0"];
    compare_places("day04", &day04, Some(visits));
}

/// Clients that send, read what they are given and leave; some of them together.
fn visits(server: &Server) {
    for _ in 0..3 {
        let clients: Vec<_> = (0..4).map(|_| server.connect().expect("a connection")).collect();
        for mut client in clients {
            client.write_all(b"hello\n").expect("sending");
            client.shutdown(Shutdown::Write).expect("the end of the request");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("an answer");
            assert!(!answer.is_empty());
        }
    }
}
