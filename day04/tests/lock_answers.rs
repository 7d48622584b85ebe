//! `beyond/lock_answers.rs`: what of its answers holds on every kernel.

use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{PATIENCE, as_ordinary_user, example, io_uring_or_skip, output_within, skipped};

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let test = "an_ordinary_user_gets_the_answers_of_the_chapter";
    if !io_uring_or_skip(test) {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/lock_answers.rs");
    let mut command = Command::new(example("lock_answers", &source));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    for line in [
        "NOP, which is on the list: 0",
        "READ, which is not: submit 1; completions EACCES",
        "NOP with IOSQE_ASYNC, which is not: EACCES",
        "register_files, which is not: EACCES",
        "an empty list: NOP: EACCES",
        "NOP, READ, NOP as a chain: submit 3; completions ECANCELED, EACCES, ECANCELED",
        "FIXED_FILE demanded: READ of a plain descriptor: EACCES",
        "FIXED_FILE demanded: SPLICE from a plain descriptor to a slot: 5",
        "a child's READ of a slot: 5",
        "a child without any call of io_uring, a ring with a poller: OPENAT: 0",
        "seccomp forbids openat: open(2): EPERM",
        "seccomp forbids openat: OPENAT: opened",
        "seccomp forbids io_uring_setup: NOP on a ring from before: 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing:\n{text}");
    }
    let mut questions: Vec<_> = text.lines().filter_map(|line| line.rsplit_once(": ")).collect();
    let number = questions.len();
    questions.dedup_by_key(|(question, _)| *question);
    assert_eq!(questions.len(), number, "each question is there once:\n{text}");
}
