//! `beyond/zero_copy_answers.rs`: what of its answers holds on every kernel that has the operations.

use testkit::{Answers, skipped};

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("zero_copy_answers") else { return };
    for (lacking, lines) in [
        (
            "SEND_ZC of 5 bytes: EINVAL",
            &[
                "SEND_ZC of 5 bytes: 5 MORE, then NOTIF",
                "SEND_ZC, REPORT_USAGE, over loopback: 5 MORE, then NOTIF: copied",
                "SEND_ZC to a peer that does not read: completes; its NOTIF does not come",
                "SEND_ZC, the bytes change before its NOTIF, and the peer gets them: as they are now",
                "SEND_ZC, when the peer has read: NOTIF: copied",
                "SEND_ZC on AF_UNIX: EOPNOTSUPP MORE, then NOTIF",
                "SEND_ZC, CQE_SKIP_SUCCESS: EINVAL",
                "SEND_ZC to a peer that is gone: EPIPE MORE, then NOTIF",
                "SEND_ZC that waits for room, and is cancelled: ECANCELED MORE, then NOTIF",
                "SEND_ZC of 1 MiB with RLIMIT_MEMLOCK at 64 KiB: ENOMEM MORE",
            ][..],
        ),
        (
            "SEND, BUNDLE, once more: EOPNOTSUPP",
            &[
                "SEND, BUNDLE of buffers 10, 11 and 12, 6 bytes each: 18 from buffer 10",
                "SEND, BUNDLE, once more: ENOBUFS",
            ],
        ),
        (
            "INC, a buffer ring: ",
            &[
                "INC, buffer 30 of 16 bytes, \"second\" comes: 6 from buffer 30 MORE BUF_MORE",
                "INC, buffer 30 of 16 bytes, \"last\" comes: 4 from buffer 30 MORE",
                "INC, the buffer holds: \"first secondlast\"",
            ],
        ),
        (
            "no kernel lacks these",
            &[
                "SPLICE of 64 KiB at offset 0 of a file into a pipe: 65536",
                "SPLICE of 64 KiB at offset 1 of a file into a pipe: 65535",
                "SPLICE of \"old\", the file then gets \"new\", and the peer reads: new",
                "READ and SEND of \"old\", the file then gets \"new\", and the peer reads: old",
            ],
        ),
    ] {
        match answers.lines().find(|line| line.starts_with(lacking)) {
            Some(lacks) => skipped("zero_copy_answers", lacks),
            None => answers.need(lines),
        }
    }
}
