//! Entries, and the completions that answer them.

use super::*;

fn entry(opcode: u8, user_data: u64) -> Entry {
    Entry { opcode, user_data, len: 100, ..Default::default() }
}

fn completion(user_data: u64, res: i32, flags: u32) -> Completion {
    Completion { user_data, res, flags, extra: None }
}

#[test]
fn a_multishot_is_answered_until_more_is_missing() {
    let mut flights = InFlight::default();
    flights.submitted(1, 0, Entry { ioprio: 1, ..entry(op::ACCEPT, 5) });
    for _ in 0..3 {
        let answer = flights.completed(&completion(5, 0, cqe::MORE)).expect("an answer");
        assert_eq!(answer.flight.seq, 1);
    }
    assert!(flights.completed(&completion(5, -23, 0)).is_some());
    assert!(flights.completed(&completion(5, 0, 0)).is_none());
    assert!(flights.armed().is_empty());
}

#[test]
fn one_user_data_for_all_is_narrowed_down_by_the_answer() {
    let mut flights = InFlight::default();
    flights.submitted(1, 0, entry(op::READ, 0));
    flights.submitted(2, 0, entry(op::LINK_TIMEOUT, 0));
    let late = flights.completed(&completion(0, -libc::ETIME, 0)).expect("the timeout");
    assert_eq!((late.flight.seq, late.ambiguous), (2, false));
    assert_eq!(flights.completed(&completion(0, 7, 0)).expect("the read").flight.seq, 1);
}

#[test]
fn a_zero_copy_send_is_answered_twice() {
    let mut flights = InFlight::default();
    flights.submitted(1, 0, entry(op::SEND_ZC, 9));
    flights.submitted(2, 0, entry(op::SEND_ZC, 9));
    let first = flights.completed(&completion(9, 10, cqe::MORE)).expect("result");
    let second = flights.completed(&completion(9, 10, cqe::MORE)).expect("result");
    assert_eq!((first.flight.seq, second.flight.seq), (1, 2));
    assert!(flights.completed(&completion(9, 0, cqe::NOTIF)).is_some());
    assert!(flights.completed(&completion(9, 0, cqe::NOTIF)).is_some());
    assert!(flights.armed().is_empty());
}

#[test]
fn a_zero_copy_send_behind_a_broken_link_is_notified_as_well() {
    let mut flights = InFlight::default();
    for seq in [1, 3] {
        flights.submitted(seq, 0, Entry { flags: sqe::IO_LINK, ..entry(op::READ, 8) });
        flights.submitted(seq + 1, 0, entry(op::SEND_ZC, 9));
    }
    let mut answer =
        |res, flags| flights.completed(&completion(9, res, flags)).map(|answer| answer.flight.seq);
    assert_eq!(answer(-libc::ECANCELED, 0), Some(2));
    assert_eq!(answer(100, cqe::MORE), Some(4));
    // This one said that it would come, and is expected.
    assert_eq!(answer(0, cqe::NOTIF), Some(4));
    assert_eq!(answer(0, cqe::NOTIF), Some(2));
    assert_eq!(answer(0, cqe::NOTIF), None);
}

#[test]
fn a_silent_entry_that_ends_at_once_does_not_fail_much_later() {
    let silent = |opcode, flags| Entry { flags: sqe::CQE_SKIP_SUCCESS | flags, ..entry(opcode, 7) };
    let who_failed = |opcode, flags, error: i32| {
        let mut flights = InFlight::default();
        for us in [10, 20] {
            flights.submitted(us, us, silent(opcode, flags));
            flights.submitted(us + 1, us, silent(opcode, flags));
        }
        flights.completed(&completion(7, -error, 0)).expect("an answer").flight.seq
    };
    assert_eq!(who_failed(op::ASYNC_CANCEL, 0, libc::ENOENT), 20);
    assert_eq!(who_failed(op::CLOSE, 0, libc::EBADF), 20);
    // These may have waited since.
    assert_eq!(who_failed(op::RECV, 0, libc::ECONNRESET), 10);
    assert_eq!(who_failed(op::CLOSE, sqe::IO_DRAIN, libc::EBADF), 10);
    assert_eq!(who_failed(op::CLOSE, sqe::IO_LINK, libc::EBADF), 10);
}

#[test]
fn what_may_have_been_answered_unseen_is_neither_armed_nor_kept_for_ever() {
    let mut flights = InFlight::default();
    flights.submitted(1, 0, Entry { ioprio: 1, ..entry(op::ACCEPT, 5) });
    flights.submitted(2, 0, entry(op::READ, 6));
    flights.lost_sight();
    assert!(flights.armed().is_empty() && flights.any_unknown());
    // An answer says that it is still there.
    assert!(flights.completed(&completion(5, 0, cqe::MORE)).is_some());
    assert_eq!(flights.armed().iter().map(|it| it.seq).collect::<Vec<_>>(), [1]);
    // The value is used again: the READ was answered.
    flights.submitted(3, 0, entry(op::READ, 6));
    assert_eq!(flights.completed(&completion(6, 7, 0)).expect("an answer").flight.seq, 3);
    for seq in 4..10_000 {
        flights.submitted(seq, 0, entry(op::NOP, seq));
        flights.lost_sight();
    }
    let kept = flights.by_user_data.len();
    assert!(kept <= UNSURE + 1, "{kept} are kept");
    assert!(flights.completed(&completion(5, 0, 0)).is_some(), "the multishot is kept");
}

#[test]
fn a_silent_entry_waits_until_an_answer_says_that_it_is_done() {
    let silent = |opcode, user_data, link: u8| Entry {
        flags: sqe::CQE_SKIP_SUCCESS | link,
        ..entry(opcode, user_data)
    };
    let waiting = |flights: &InFlight| -> Vec<u64> {
        flights.may_wait().iter().map(|flight| flight.seq).collect()
    };
    let mut flights = InFlight::default();
    // Two chains: a silent receive and a silent send, and a close that answers.
    for first in [1, 4] {
        flights.submitted(first, 0, silent(op::RECV, first, sqe::IO_LINK));
        flights.submitted(first + 1, 0, silent(op::SEND, first, sqe::IO_LINK));
        flights.submitted(first + 2, 0, entry(op::CLOSE, first));
    }
    flights.submitted(7, 0, silent(op::RECV, 70, 0));
    assert_eq!(waiting(&flights), [1, 2, 4, 5, 7]);
    assert!(flights.completed(&completion(1, 0, 0)).is_some());
    assert_eq!(waiting(&flights), [4, 5, 7], "the first chain is done");
    assert!(flights.completed(&completion(4, -libc::ECONNRESET, 0)).is_some());
    assert_eq!(waiting(&flights), [7], "of a chain that failed, the rest is cancelled");
    flights.submitted(8, 0, Entry { addr: 70, ..entry(op::ASYNC_CANCEL, 80) });
    assert!(flights.completed(&completion(80, 0, 0)).is_some());
    assert!(waiting(&flights).is_empty());
}

#[test]
fn what_is_cancelled_says_so_unless_a_silent_one_broke_the_chain() {
    const SILENT: u8 = sqe::CQE_SKIP_SUCCESS;
    const LINK: u8 = sqe::IO_LINK;
    let chain = |flags: [u8; 3]| {
        let mut flights = InFlight::default();
        for (seq, flags) in (1..).zip(flags) {
            flights.submitted(seq, 0, Entry { flags, ..entry(op::RECV, seq) });
        }
        flights
    };
    let mut flights = chain([SILENT | LINK, LINK, SILENT]);
    assert!(flights.completed(&completion(2, -libc::EBADF, 0)).is_some());
    assert!(flights.may_wait().is_empty());
    let third = flights.completed(&completion(3, -libc::ECANCELED, 0));
    assert_eq!(third.expect("an answer").flight.seq, 3);

    let mut flights = chain([SILENT | LINK, SILENT | LINK, 0]);
    assert!(flights.completed(&completion(1, -libc::EBADF, 0)).is_some());
    assert!(flights.may_wait().is_empty() && flights.armed().is_empty());

    // The second is refused, so the first is cancelled, and all have a completion.
    let mut flights = chain([LINK, SILENT | LINK, 0]);
    for (seq, error) in [(1, libc::ECANCELED), (2, libc::EFAULT), (3, libc::ECANCELED)] {
        let answer = flights.completed(&completion(seq, -error, 0));
        assert_eq!(answer.expect("an answer").flight.seq, seq);
    }

    let mut flights = chain([SILENT, 0, 0]);
    flights.submitted(4, 0, Entry { addr: 1, ..entry(op::ASYNC_CANCEL, 4) });
    assert!(flights.completed(&completion(4, 0, 0)).is_some());
    assert!(flights.may_wait().is_empty());
    let first = flights.completed(&completion(1, -libc::ECANCELED, 0));
    assert_eq!(first.expect("an answer").flight.seq, 1);
}

#[test]
fn a_silent_entry_is_found_when_it_fails_and_not_listed_as_armed() {
    let mut flights = InFlight::default();
    let silent = Entry { flags: sqe::CQE_SKIP_SUCCESS, ..entry(op::CLOSE, 3) };
    flights.submitted(1, 0, silent);
    assert!(flights.armed().is_empty());
    assert!(flights.completed(&completion(3, -libc::EBADF, 0)).is_some());
}
