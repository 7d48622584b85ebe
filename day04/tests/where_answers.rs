//! `beyond/where_answers.rs`: what of its answers holds on every kernel and file system.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
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
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/where_answers.rs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-where"));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(example("where_answers", &source));
    command.arg(&folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    limit_locked_memory(&mut command, 8 << 20);
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    for line in [
        "32, RECV, a silent socket: they wait, no worker",
        "32, READ, a silent pipe: they wait, no worker",
        "32, SPLICE, a silent pipe: they wait, 32 workers",
        "32, SPLICE, at most 4 bounded workers: they wait, 32 workers",
        "32, SPLICE, at most 4 unbounded workers: they wait, 4 workers",
        "32, POLL_ADD, linked to a SPLICE: they wait, no worker",
        "32, FSYNC, a file: by workers",
        "32, STATX: by workers",
        "32, OPENAT, a file: at once",
        "32, SHUTDOWN, a socket: by workers",
        "pool, OPENAT, ASYNC: bounded",
        "pool, SEND, ASYNC: unbounded",
        "whose time, RECV of 16 MiB, SQPOLL: the poller",
        "whose time, RECV with MSG_WAITALL, woken 100 times: the thread that submitted",
        "whose time, RECV with MSG_WAITALL, woken 200 times: a worker, in the end",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing:\n{text}");
    }
    let left = fs::read_dir(&folder).unwrap().count();
    assert_eq!(left, 0, "it removes its files");
    fs::remove_dir(&folder).unwrap();
}
