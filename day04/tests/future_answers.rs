//! `beyond/future_answers.rs`: what of its answers holds on every kernel.

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
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/future_answers.rs");
    let mut command = Command::new(example("future_answers", &source));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    limit_locked_memory(&mut command, 1 << 20);
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    for line in [
        "RECV dropped, not cancelled, then 5 bytes come: 5",
        "RECV dropped, not cancelled, its memory was \"mine....\" since: yours...",
        "RECV dropped, not cancelled, the next RECV: waits",
        "RECV cancelled, then 5 bytes come: ECANCELED",
        "RECV cancelled, then 5 bytes come, the next RECV: 5",
        "RECV cancelled after 5 bytes came, a plain ring: 5",
        "RECV cancelled after 5 bytes came, a plain ring, the next RECV: waits",
        "RECV pushed, its socket closed, the number reused, it has: private",
        "ACCEPT cancelled after a client came: a descriptor",
        "ACCEPT cancelled after a client came, the client: waits for the server",
        "SEND of more than the socket takes, cancelled: the part that was sent",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing:\n{text}");
    }
}
