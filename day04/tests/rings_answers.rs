//! `beyond/rings_answers.rs`: what of its answers holds on every kernel that has the feature.

use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{
    PATIENCE, as_ordinary_user, example, io_uring_or_skip, limit_locked_memory, output_within,
    skipped,
};

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let test = "an_ordinary_user_gets_the_answers_of_the_chapter";
    if !io_uring_or_skip(test) {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/rings_answers.rs");
    let mut command = Command::new(example("rings_answers", &source));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    limit_locked_memory(&mut command, 8 << 20);
    let output = output_within(command, PATIENCE).unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The kernel's choice, or a feature that it lacks, is in the book's table and not here.
    for (question, answer) in [
        ("fork, the child submits a NOP to its parent's ring", "the parent reaps 42"),
        ("fork, the child submits, MADV_DONTFORK", "killed by SIGSEGV"),
        ("fork, the child submits an OPENAT", "the descriptor is the child's"),
        ("fork, the child submits a READ", "the parent reaps 1, the byte is in the child's memory"),
        ("exec, FD_CLOEXEC of a ring's descriptor", "set"),
        ("wake by MSG_RING, CQE_SKIP_SUCCESS", "1 call, 1 entry; the sleeper 1 call, 1 completion"),
        ("wake by a write to an eventfd", "1 call; the sleeper 1 call, 1 entry, 1 completion"),
        ("message to a full completion queue", "16 others are reaped, and it comes: 42"),
        ("message with a file, no slot is free there", "ENFILE"),
        ("eventfd, 5 NOPs in one submit", "completions 5, signals 1"),
        ("eventfd_async, 3 polls fire", "signals 0, then completions 3"),
        (
            "epoll_wait for the eventfd of a ring with DEFER_TASKRUN",
            "woken; completions in memory 0, after an enter 1",
        ),
        ("epoll_wait for something else, a poll in a ring fires", "EINTR"),
        ("thread, another one submits, SINGLE_ISSUER", "EEXIST"),
        ("thread, the one that enabled the ring submits", "granted"),
        (
            "thread, it ends, its READ is on its way",
            "silent; after a write ECANCELED, and the pipe is full",
        ),
        ("thread, 2 wait in a ring, 1 completion comes", "2 return"),
    ] {
        let line = format!("{question}: {answer}");
        let lacks = format!("{question}: not on this kernel");
        let given = text.lines().any(|found| found == line || found.starts_with(&lacks));
        assert!(given, "{line:?} is missing:\n{text}");
    }
}
