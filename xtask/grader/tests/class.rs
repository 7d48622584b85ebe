//! `cargo xtask class` and hostile programs: what they can reach and what they can harm.
//!
//! A program reports what it reached by a panic, which the student's text quotes.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::pty::openpty;
use nix::unistd::setsid;
use testkit::{self, io_uring_or_skip, skipped};

/// The libraries may have to be compiled.
const LONG: Duration = Duration::from_secs(600);

/// Where this run of the tests keeps its classes.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn hand_in(class: &Path, student: &str, text: &str) {
    fs::create_dir_all(class.join(student)).expect("a folder");
    fs::write(class.join(student).join("first_nop.rs"), text).expect("a program");
}

fn solution() -> String {
    let days = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(days.join("day01/exercises/first_nop/solution.rs")).expect("the solution")
}

/// The command, with only Cargo's variables and a secret in its environment.
fn class(folder: &Path, details: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grader"));
    command.arg("class").arg(folder).args(["--only", "first_nop", "--details"]).arg(details);
    command.env("SECRET", "the secret").env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it printed.
fn run(command: Command) -> String {
    let output = testkit::output_within(command, LONG).expect("an end");
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{errors}");
    text
}

/// Whether programs were behind walls. They must be, unless bubblewrap does not work here; then it
/// prints that the `test` is skipped.
fn walls_or_skip(test: &str, table: &str) -> bool {
    let mut bwrap = Command::new("bwrap");
    bwrap.args([
        "--unshare-pid",
        "--unshare-net",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "true",
    ]);
    let works = bwrap.output().is_ok_and(|output| output.status.success());
    assert_eq!(table.contains("behind walls"), works, "{table}");
    assert_eq!(table.contains("NOT SHUT OFF: there are no walls here"), !works, "{table}");
    if !works {
        testkit::skipped(test, "bubblewrap builds no walls here");
    }
    works
}

#[test]
fn a_program_reaches_nothing_outside_of_its_walls() {
    const TEST: &str = "a_program_reaches_nothing_outside_of_its_walls";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let folder = folder("class_walls");
    let (handed_in, details) = (folder.join("in"), folder.join("out"));
    let private = folder.join("private");
    fs::write(&private, "\"the private file\"").expect("a file");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("its mode");
    // Not below the target folder: a socket's path is short.
    let path = std::env::temp_dir().join(format!("class_walls.{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let named = UnixListener::bind(&path).expect("a socket");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode");
    let name = format!("class_walls.{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let abstracted = UnixListener::bind_addr(&address).expect("a socket");

    hand_in(&handed_in, "ada", &solution());
    hand_in(&handed_in, "compiler", &format!("fn main() {{ panic!(include_str!({private:?})) }}"));
    hand_in(
        &handed_in,
        "environment",
        "fn main() { panic!(\"{:?} {:?}\", option_env!(\"SECRET\"), std::env::var(\"SECRET\")) }",
    );
    hand_in(&handed_in, "escapes", r#"fn main() { panic!("\x1b]0;title\x07") }"#);
    let sockets = SOCKETS.replace("PATH", &format!("{path:?}")).replace("NAME", &name);
    hand_in(&handed_in, "sockets", &sockets);
    hand_in(&handed_in, "judge", JUDGE);
    hand_in(&handed_in, "terminal", TERMINAL);

    let table = on_a_terminal(class(&handed_in, &details));
    let _ = fs::remove_file(&path);
    if !walls_or_skip(TEST, &table) {
        return;
    }
    let text = |student: &str| -> String {
        let text = fs::read_to_string(details.join(format!("{student}.txt"))).expect("a text");
        assert!(!text.contains('\x1b'), "{text:?}");
        // The words of the panic, without the line breaks.
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(text("ada").contains("passed"), "{}", text("ada"));
    assert!(!text("compiler").contains("the private file"), "{}", text("compiler"));
    assert!(text("compiler").contains("No such file"), "{}", text("compiler"));
    assert!(text("environment").contains("None Err(NotPresent)"), "{}", text("environment"));
    assert!(text("sockets").contains("path Err path 2 name Err name 111"), "{}", text("sockets"));
    for listener in [named, abstracted] {
        listener.set_nonblocking(true).expect("a socket");
        assert!(listener.accept().is_err(), "a program connected to a socket of ours");
    }
    let refused = "seize 1 memory Err descriptor 1 environment Err signal 0";
    assert!(text("judge").contains(refused), "{}", text("judge"));
    assert!(text("terminal").contains("tty Err"), "{}", text("terminal"));
    assert!(!table.contains("]0;title"), "{table:?}");
    let _ = fs::remove_dir_all(&folder);
}

/// By a plain call and through a ring.
const SOCKETS: &str = r#"
use io_uring::{IoUring, opcode, types};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
fn word<T, E>(result: Result<T, E>) -> &'static str { if result.is_ok() { "Ok" } else { "Err" } }
fn through_ring(path: &[u8]) -> i32 {
    let mut ring = IoUring::new(2).unwrap();
    let mut submit = |entry| unsafe {
        ring.submission().push(&entry).unwrap();
        ring.submit_and_wait(1).unwrap();
        ring.completion().next().unwrap().result()
    };
    let socket = submit(opcode::Socket::new(libc::AF_UNIX, libc::SOCK_STREAM, 0).build());
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as u16;
    for (to, from) in address.sun_path.iter_mut().zip(path) { *to = *from as libc::c_char }
    let (pointer, length) = ((&raw const address).cast(), 2 + path.len() as u32);
    -submit(opcode::Connect::new(types::Fd(socket), pointer, length).build())
}
fn main() {
    let (path, name) = (PATH, "NAME");
    let address = SocketAddr::from_abstract_name(name).unwrap();
    panic!(
        "path {} path {} name {} name {}",
        word(UnixStream::connect(path)), through_ring(path.as_bytes()),
        word(UnixStream::connect_addr(&address)), through_ring(format!("\0{name}").as_bytes()),
    );
}
"#;

/// The judge is the parent.
const JUDGE: &str = r#"
use std::fs::OpenOptions;
fn word<T, E>(result: Result<T, E>) -> &'static str { if result.is_ok() { "Ok" } else { "Err" } }
fn main() {
    let judge = std::os::unix::process::parent_id() as i32;
    let open = |name| OpenOptions::new().write(name == "mem").read(true).open(format!("/proc/{judge}/{name}"));
    unsafe {
        let seized = -libc::ptrace(libc::PTRACE_SEIZE, judge, 0, 0);
        let pidfd = libc::syscall(libc::SYS_pidfd_open, judge, 0);
        let descriptor = -libc::syscall(libc::SYS_pidfd_getfd, pidfd, 1, 0);
        let (memory, environment) = (word(open("mem")), word(open("environ")));
        let signal = libc::kill(judge, libc::SIGKILL);
        panic!("seize {seized} memory {memory} descriptor {descriptor} environment {environment} signal {signal}");
    }
}
"#;

/// Types a command for the teacher, if it can.
const TERMINAL: &str = r#"
use std::os::fd::AsRawFd;
fn main() {
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty");
    if let Ok(terminal) = &terminal {
        unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, c"x".as_ptr()) };
    }
    panic!("tty {}", if terminal.is_ok() { "Ok" } else { "Err" });
}
"#;

/// Runs a command in a session with a terminal, as a teacher does; all that it printed there.
fn on_a_terminal(mut command: Command) -> String {
    let terminal = openpty(None, None).expect("a terminal");
    let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
    command.stdin(end(&terminal.slave)).stdout(end(&terminal.slave)).stderr(end(&terminal.slave));
    // SAFETY: the closure runs in the child after fork and makes two system calls.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            let taken = libc::ioctl(std::io::stdin().as_raw_fd(), libc::TIOCSCTTY, 0);
            if taken == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    };
    let mut child = command.spawn().expect("the tool");
    drop((command, terminal.slave));
    let mut output = File::from(terminal.master);
    let (mut printed, mut bytes) = (Vec::new(), [0; 4096]);
    // It ends with an error when no process has the other side open any more.
    while let Ok(count @ 1..) = output.read(&mut bytes) {
        printed.extend_from_slice(&bytes[..count]);
    }
    assert!(child.wait().expect("an end").success());
    String::from_utf8_lossy(&printed).into_owned()
}

#[test]
fn a_fork_bomb_ends_with_its_run_and_harms_nobody() {
    const TEST: &str = "a_fork_bomb_ends_with_its_run_and_harms_nobody";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let folder = folder("class_bomb");
    let (handed_in, details) = (folder.join("in"), folder.join("out"));
    // A name to look for, at most 15 letters long.
    let name = format!("bomb{}", std::process::id());
    let begin = format!("libc::prctl(libc::PR_SET_NAME, c{name:?}.as_ptr());");
    hand_in(
        &handed_in,
        "bob",
        &format!("fn main() {{ unsafe {{ {begin} loop {{ libc::fork(); }} }} }}"),
    );
    // Children that no tracer sees; they hold the standard output open.
    let hidden = format!(
        "fn main() {{ unsafe {{ {begin} for _ in 0..20 {{ \
         let flags = libc::CLONE_UNTRACED | libc::SIGCHLD; \
         if libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) == 0 {{ \
         libc::setsid(); libc::sleep(600); return; }} }} }} }}"
    );
    hand_in(&handed_in, "eve", &hidden);
    hand_in(&handed_in, "zoe", &solution());
    let table = run(class(&handed_in, &details));
    if !walls_or_skip(TEST, &table) {
        return;
    }
    assert!(table.contains("bob                       x"), "{table}");
    assert!(table.contains("eve                       x"), "{table}");
    assert!(table.contains("zoe                       *"), "{table}");
    let text = fs::read_to_string(details.join("eve.txt")).expect("a text");
    assert!(text.contains("E-NO-RING"), "not given up: {text}");
    assert!(
        testkit::holds_within(testkit::PATIENCE, || called(&name) == 0),
        "{} live on",
        called(&name)
    );

    // None outlives `class` itself either, although its judge would wait for it.
    let sleepless = format!(
        "fn main() {{ unsafe {{ {begin} }} loop {{ println!(\"on\"); \
         std::thread::sleep(std::time::Duration::from_millis(50)); }} }}"
    );
    hand_in(&folder.join("second"), "mia", &sleepless);
    let mut killed = class(&folder.join("second"), &details).spawn().expect("the tool");
    assert!(testkit::holds_within(LONG, || called(&name) > 0), "it never ran");
    killed.kill().and_then(|()| killed.wait()).expect("an end");
    assert!(testkit::holds_within(testkit::PATIENCE, || called(&name) == 0), "it lives on");
    let _ = fs::remove_dir_all(&folder);
}

/// Without walls a program can do much, but nothing that outlives it.
#[test]
fn without_walls_too_all_that_a_program_starts_ends_with_it() {
    const TEST: &str = "without_walls_too_all_that_a_program_starts_ends_with_it";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let folder = folder("class_no_walls");
    let (handed_in, details) = (folder.join("in"), folder.join("out"));
    // All programs of this machine but bwrap.
    let programs = folder.join("programs");
    fs::create_dir(&programs).expect("a folder");
    let path = std::env::var_os("PATH").expect("PATH");
    for entry in std::env::split_paths(&path).filter_map(|path| fs::read_dir(path).ok()) {
        for entry in entry.flatten().filter(|entry| entry.file_name() != "bwrap") {
            let _ = symlink(entry.path(), programs.join(entry.file_name()));
        }
    }
    let name = format!("free{}", std::process::id());
    let begin = format!("libc::prctl(libc::PR_SET_NAME, c{name:?}.as_ptr());");
    // Two ways to hide a child, and a program that kills the judge.
    let hides = format!(
        "fn main() {{ unsafe {{ {begin} let judge = libc::getppid(); \
         let flags = (libc::CLONE_UNTRACED | libc::SIGCHLD) as u64; \
         let hidden = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0); \
         let asked = [flags & !0xff, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0]; \
         let third = libc::syscall(libc::SYS_clone3, asked.as_ptr(), 64); \
         if hidden == 0 || third == 0 || libc::fork() == 0 {{ \
         libc::setsid(); for fd in 0..64 {{ libc::close(fd); }} libc::kill(judge, libc::SIGKILL); }} \
         libc::sleep(600); }} }}"
    );
    hand_in(&handed_in, "ann", &hides);
    hand_in(&handed_in, "zoe", &solution());
    let mut command = class(&handed_in, &details);
    command.env("PATH", &programs);
    let output = testkit::output_within(command, LONG).expect("an end");
    let errors = String::from_utf8_lossy(&output.stderr);
    // Rust may be in root's own folder.
    if errors.contains("judged here") && errors.contains("Permission denied") {
        assert!(errors.contains("apt install bubblewrap"), "{errors}");
        return skipped(TEST, errors);
    }
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}{errors}");
    assert!(table.contains("NOT SHUT OFF: there are no walls here (bubblewrap is not"), "{table}");
    assert!(table.contains("ann                       x"), "{table}");
    assert!(table.contains("zoe                       *"), "{table}");
    assert!(
        testkit::holds_within(testkit::PATIENCE, || called(&name) == 0),
        "{} live on",
        called(&name)
    );
    let _ = fs::remove_dir_all(&folder);
}

/// How many processes have this name.
fn called(name: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let names = processes.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    names.filter(|comm| comm.trim() == name).count()
}

/// Each of its processes stays below every limit of one process.
#[test]
fn the_memory_of_all_processes_of_a_program_is_limited() {
    const TEST: &str = "the_memory_of_all_processes_of_a_program_is_limited";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let about = fs::read_to_string("/proc/meminfo").expect("the memory");
    let available = about.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    if kib.unwrap_or(0_u64) < 4 << 20 {
        return skipped(TEST, "less than 4 GiB of memory are available");
    }
    let folder = folder("class_memory");
    let (handed_in, details) = (folder.join("in"), folder.join("out"));
    let greedy = "fn main() { unsafe {
        for _ in 0..6 { if libc::fork() == 0 {
            let memory = vec![1_u8; 512 << 20];
            std::hint::black_box(&memory);
            libc::sleep(600);
        } }
        loop { println!(\"on\"); libc::usleep(50_000); }
    } }";
    hand_in(&handed_in, "max", greedy);
    let table = run(class(&handed_in, &details));
    let text = fs::read_to_string(details.join("max.txt")).expect("a text");
    assert!(text.contains("E-LIMIT") && text.contains("GiB of memory"), "{table}{text}");
    let _ = fs::remove_dir_all(&folder);
}

/// Any names of students, and any output of their programs.
#[test]
fn every_file_is_safe_to_open_and_short() {
    const TEST: &str = "every_file_is_safe_to_open_and_short";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let folder = folder("class_files");
    let (handed_in, details) = (folder.join("in"), folder.join("out"));
    let long = "fn main() { panic!(\"<{}>\", \"\\u{1b}[31m&]]>\\\"\".repeat(30_000)) }";
    hand_in(&handed_in, "=HYPERLINK(\"x\")", &solution());
    hand_in(&handed_in, "+1", long);
    hand_in(&handed_in, "-1", "fn main() { let x: u32 = \"=1+1\"; }");
    hand_in(&handed_in, "@SUM(1)", &"\n".repeat(300_000));
    hand_in(&handed_in, "\t<&\"]]>,;", long);
    let (csv, junit) = (folder.join("table.csv"), folder.join("table.xml"));
    let mut command = class(&handed_in, &details);
    command.arg("--csv").arg(&csv).arg("--junit").arg(&junit);
    let table = run(command);
    assert!(table.contains("  *  1\n"), "{table}");

    let csv = fs::read_to_string(csv).expect("a table");
    for line in csv.lines().skip(1) {
        let fields = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).expect(line);
        for field in fields.split("\",\"") {
            assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{line}");
        }
    }
    for name in ["'=HYPERLINK(\"\"x\"\")", "'+1", "'-1", "'@SUM(1)", "?<&\"\"]]>,;"] {
        assert!(csv.contains(&format!("\n\"{name}\",\"1\",\"first_nop\",")), "{name}: {csv}");
    }
    let passed = csv.lines().find(|line| line.contains("\"passed\"")).expect("one that passed");
    assert!(passed.ends_with(",\"1\",\"1\",\"1\",\"1\",\"\""), "{passed}");
    let failed = csv.lines().find(|line| line.contains("E-PANIC")).expect("one that failed");
    assert!(failed.ends_with(",\"\",\"1\",\"\",\"1\",\"\""), "{failed}");
    assert!(csv.contains("\"failed\",\"E-PANIC\",\"The program panicked"), "{csv}");
    assert!(
        csv.contains("\"failed\",\"E-COMPILE\",\"error[E0308]: mismatched types\",\"next\","),
        "{csv}"
    );

    let junit = fs::read_to_string(junit).expect("a report");
    let document = roxmltree::Document::parse(&junit).expect("XML");
    let is_failure = |node: &roxmltree::Node| node.has_tag_name("failure");
    let failures: Vec<_> = document.descendants().filter(is_failure).collect();
    let mut kinds: Vec<_> = failures.iter().filter_map(|it| it.attribute("type")).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["E-COMPILE", "E-PANIC", "E-PANIC"]);
    assert!(failures.iter().all(|it| it.text().is_some_and(|text| text.contains("E-"))), "{junit}");

    let texts = fs::read_dir(&details).expect("texts").flatten();
    let texts = texts.map(|text| fs::read_to_string(text.path()).expect("a text"));
    for text in texts.chain([table, csv, junit]) {
        assert!(text.len() < 20_000, "{} bytes: {}", text.len(), &text[..2000]);
        assert!(!text.contains('\x1b'), "{text:?}");
    }
    let _ = fs::remove_dir_all(&folder);
}

#[test]
fn two_runs_at_a_time_judge_each_its_own_programs() {
    if !io_uring_or_skip("two_runs_at_a_time_judge_each_its_own_programs") {
        return;
    }
    let folder = folder("class_two");
    let (good, bad) = (folder.join("good"), folder.join("bad"));
    for student in ["one", "two", "three"] {
        hand_in(&good, student, &solution());
        hand_in(&bad, student, "fn main() { println!(\"nothing\") }");
    }
    let other = folder.clone();
    let second = std::thread::spawn(move || run(class(&other.join("bad"), &other.join("out_bad"))));
    let good = run(class(&good, &folder.join("out_good")));
    let bad = second.join().expect("the other run");
    assert_eq!(
        (good.matches("  *  1\n").count(), bad.matches("  x  0\n").count()),
        (3, 3),
        "{good}{bad}"
    );

    // The built files are now in the future, as after the clock was set back.
    in_the_future(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder"));
    hand_in(&folder.join("third"), "four", "fn main() { println!(\"nothing\") }");
    let third = run(class(&folder.join("third"), &folder.join("out_third")));
    assert!(third.contains("  x  0\n"), "{third}");
    let _ = fs::remove_dir_all(&folder);
}

/// Sets the times of the files built for classes an hour ahead.
fn in_the_future(folder: &Path) {
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            in_the_future(&path);
        }
        let name = path.to_string_lossy();
        if ["submission", "class/libraries"].iter().any(|part| name.contains(part)) {
            let _ = File::open(&path).and_then(|file| file.set_modified(ahead));
        }
    }
}
