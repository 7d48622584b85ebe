//! `beyond/link_answers`: what of its answers holds on every kernel.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{PATIENCE, as_ordinary_user, example, io_uring_or_skip, output_within, skipped};

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let test = "an_ordinary_user_gets_the_answers_of_the_chapter";
    if !io_uring_or_skip(test) {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/link_answers");
    let mut command = Command::new(example("link_answers", &source));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, PATIENCE).unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: BTreeSet<&str> = text.lines().collect();
    // The same from Linux 5.10 to 7.3.
    for answer in [
        "READ of 5 bytes, 5 are there: 5, holds",
        "READ of 16 bytes, 5 are there: 5, breaks",
        "READ of 16 bytes at the end of the file: 0, breaks",
        "SPLICE of 16 bytes, 5 are there: 5, breaks",
        "WRITE of 5 bytes, 3 have room: 3, breaks",
        "RECV of 16 bytes, 5 are there: 5, holds",
        "RECV of 16 bytes with MSG_WAITALL, 5 and the end: 5, breaks",
        "RECV at the end of the stream: 0, holds",
        "SEND of 4 MiB, there is room for a part: a part, holds",
        "CONNECT, no listener is there: ECONNREFUSED, breaks",
        "POLL_ADD, only POLLHUP: 16, holds",
        "TIMEOUT, the time is over: ETIME, breaks",
        "READ in time, LINK_TIMEOUT, NOP: first 5, second ECANCELED, third 0",
        "cancel of the POLL_ADD with the NOP hard-linked: first ECANCELED, second 0",
        "the same, hard-linked: took 3: first ECANCELED, second EINVAL, third ECANCELED",
        "CLOSE fails, linked; a NOP in the next submit: first EBADF, second 0",
        "POLL_ADD, NOP drained, NOP, and later a NOP: 0, then 4",
        "CLOSE fails, NOP drained: first EBADF, second 0",
    ] {
        assert!(answers.contains(answer), "{answer:?} is missing:\n{text}");
    }
    let questions: BTreeSet<_> =
        text.lines().map(|line| line.rsplit_once(": ").expect("an answer").0).collect();
    assert_eq!(questions.len(), text.lines().count(), "a question is asked twice:\n{text}");
}
