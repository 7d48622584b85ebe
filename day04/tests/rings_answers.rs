//! `beyond/rings_answers.rs`: what of its answers holds on every kernel that has the feature.

use testkit::Answers;

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("rings_answers") else { return };
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
        let lacks = format!("{question}: not on this kernel");
        if !answers.lines().any(|line| line.starts_with(&lacks)) {
            answers.need(&[&format!("{question}: {answer}")]);
        }
    }
}
