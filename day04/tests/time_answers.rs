//! `beyond/time_answers`: what of its answers holds on every kernel.

use testkit::Answers;

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("time_answers") else { return };
    answers.need(&[
        "ASYNC_CANCEL, RECV: ASYNC_CANCEL 0, then RECV ECANCELED; no byte lost",
        "ASYNC_CANCEL, WRITE of a file by a worker: ASYNC_CANCEL EALREADY and WRITE all; the file \
         has all of it",
        "CLOSE, RECV: CLOSE 0; RECV waits on; fed: RECV 4",
        "TIMEOUT of 5 ms, a NOP linked to it: TIMEOUT ETIME, then NOP ECANCELED",
        "TIMEOUT of an hour with count 1, and a NOP: NOP 0, then TIMEOUT 0",
        "ASYNC_CANCEL of what is not there: ASYNC_CANCEL ENOENT",
        "RECV, its cancel and a byte at once, 300 times: 0 bytes lost",
        "READ by a worker, is memory written after the completion of ASYNC_CANCEL: yes",
    ]);
}
