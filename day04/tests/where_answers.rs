//! `beyond/where_answers.rs`: what of its answers holds on every kernel and file system.

use testkit::Answers;

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("where_answers") else { return };
    answers.need(&[
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
    ]);
}
