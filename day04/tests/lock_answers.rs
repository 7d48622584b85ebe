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
        "NOP, with an empty list: EACCES",
        "NOP, READ, NOP as a chain: submit 3; completions ECANCELED, EACCES, ECANCELED",
        "READ of a plain descriptor, FIXED_FILE is demanded: EACCES",
        "SPLICE from a plain descriptor to a slot, FIXED_FILE is demanded: 5",
        "a child's READ of a slot: 5",
        "a child's READ of a descriptor that only we have open: EBADF",
        "OPENAT by a child without any call of io_uring, on our ring with a poller: 0",
        "open(2), where seccomp forbids openat: EPERM",
        "OPENAT, where seccomp forbids openat: opened",
        "NOP on a ring from before, where seccomp forbids io_uring_setup: 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing:\n{text}");
    }
}
