//! `beyond/future_answers.rs`: what of its answers holds on every kernel.

use testkit::Answers;

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("future_answers") else { return };
    answers.need(&[
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
    ]);
}
