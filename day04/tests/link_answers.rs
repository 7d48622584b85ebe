//! `beyond/link_answers`: what of its answers holds on every kernel.

use testkit::Answers;

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("link_answers") else { return };
    // The same from Linux 5.10 to 7.3.
    answers.need(&[
        "link behind READ of 5 bytes, 5 are there: 5, holds",
        "link behind READ of 16 bytes, 5 are there: 5, breaks",
        "link behind READ of 16 bytes at the end of the file: 0, breaks",
        "link behind SPLICE of 16 bytes, 5 are there: 5, breaks",
        "link behind WRITE of 5 bytes, 3 have room: 3, breaks",
        "link behind RECV of 16 bytes, 5 are there: 5, holds",
        "link behind RECV of 16 bytes with MSG_WAITALL, 5 and the end: 5, breaks",
        "link behind RECV at the end of the stream: 0, holds",
        "link behind SEND of 4 MiB, there is room for a part: a part, holds",
        "link behind CONNECT, no listener is there: ECONNREFUSED, breaks",
        "link behind POLL_ADD, only POLLHUP: 16, holds",
        "link behind TIMEOUT, the time is over: ETIME, breaks",
        "link behind READ in time and its LINK_TIMEOUT: first 5, second ECANCELED, third 0",
        "cancel of the POLL_ADD with the NOP hard-linked: first ECANCELED, second 0",
        "bad entry, NOP hard-linked to an unknown opcode hard-linked to a NOP: took 3: first ECANCELED, second EINVAL, third ECANCELED",
        "cut, CLOSE fails, linked; a NOP in the next submit: first EBADF, second 0",
        "drained, POLL_ADD, NOP drained, NOP, and later a NOP: 0, then 4",
        "drained, CLOSE fails, NOP drained: first EBADF, second 0",
    ]);
}
