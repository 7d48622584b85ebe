//! `beyond/lock_answers.rs`: what of its answers holds on every kernel.

use testkit::Answers;

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("lock_answers") else { return };
    answers.need(&[
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
    ]);
}
