//! `beyond/time_answers`: what of its answers holds on every kernel.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{as_ordinary_user, example, io_uring_or_skip, output_within, skipped};

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let test = "an_ordinary_user_gets_the_answers_of_the_chapter";
    if !io_uring_or_skip(test) {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/time_answers/main.rs");
    let mut command = Command::new(example("time_answers", &source));
    command.current_dir("/").stdout(Stdio::piped()).stderr(Stdio::piped());
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, Duration::from_secs(240)).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    for line in [
        "ASYNC_CANCEL, RECV: ASYNC_CANCEL 0, then RECV ECANCELED; no byte lost",
        "ASYNC_CANCEL, WRITE of a file by a worker: ASYNC_CANCEL EALREADY and WRITE all; the file \
         has all of it",
        "CLOSE, RECV: CLOSE 0; RECV waits on; fed: RECV 4",
        "TIMEOUT of 5 ms, a NOP linked to it: TIMEOUT ETIME, then NOP ECANCELED",
        "TIMEOUT of an hour with count 1, and a NOP: NOP 0, then TIMEOUT 0",
        "ASYNC_CANCEL of what is not there: ASYNC_CANCEL ENOENT",
        "RECV, its cancel and a byte at once, 300 times: 0 bytes lost",
        "READ by a worker, is memory written after the completion of ASYNC_CANCEL: yes",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing:\n{text}");
    }
}
