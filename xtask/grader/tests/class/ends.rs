//! All that a program starts ends with it, and stays within the limits.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::{io_uring_or_skip, skipped};

use super::{Class, LONG, run, solution, walls_or_skip};

#[test]
fn a_fork_bomb_ends_with_its_run_and_harms_nobody() {
    const TEST: &str = "a_fork_bomb_ends_with_its_run_and_harms_nobody";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let class = Class::new("class_bomb");
    // A name to look for, at most 15 letters long.
    let name = format!("bomb{}", std::process::id());
    let begin = format!("libc::prctl(libc::PR_SET_NAME, c{name:?}.as_ptr());");
    class.hand_in("bob", &format!("fn main() {{ unsafe {{ {begin} loop {{ libc::fork(); }} }} }}"));
    // Children that no tracer sees; they hold the standard output open.
    let hidden = format!(
        "fn main() {{ unsafe {{ {begin} for _ in 0..20 {{ \
         let flags = libc::CLONE_UNTRACED | libc::SIGCHLD; \
         if libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) == 0 {{ \
         libc::setsid(); libc::sleep(600); return; }} }} }} }}"
    );
    class.hand_in("eve", &hidden);
    class.hand_in("zoe", &solution());
    let table = run(class.command());
    if !walls_or_skip(TEST, &table) {
        return;
    }
    assert!(table.contains("bob                       x"), "{table}");
    assert!(table.contains("eve                       x"), "{table}");
    assert!(table.contains("zoe                       *"), "{table}");
    let text = class.text("eve");
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
    let second = Class::new("class_bomb_second");
    second.hand_in("mia", &sleepless);
    let mut killed = second.command().spawn().expect("the tool");
    assert!(testkit::holds_within(LONG, || called(&name) > 0), "it never ran");
    killed.kill().and_then(|()| killed.wait()).expect("an end");
    assert!(testkit::holds_within(testkit::PATIENCE, || called(&name) == 0), "it lives on");
}

/// Without walls a program can do much, but nothing that outlives it.
#[test]
fn without_walls_too_all_that_a_program_starts_ends_with_it() {
    const TEST: &str = "without_walls_too_all_that_a_program_starts_ends_with_it";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let class = Class::new("class_no_walls");
    // All programs of this machine but bwrap.
    let programs = class.folder.join("programs");
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
    class.hand_in("ann", &hides);
    class.hand_in("zoe", &solution());
    let mut command = class.command();
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
    let class = Class::new("class_memory");
    let greedy = "fn main() { unsafe {
        for _ in 0..6 { if libc::fork() == 0 {
            let memory = vec![1_u8; 512 << 20];
            std::hint::black_box(&memory);
            libc::sleep(600);
        } }
        loop { println!(\"on\"); libc::usleep(50_000); }
    } }";
    class.hand_in("max", greedy);
    let table = run(class.command());
    let text = class.text("max");
    assert!(text.contains("E-LIMIT") && text.contains("GiB of memory"), "{table}{text}");
}
