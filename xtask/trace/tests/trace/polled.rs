//! A ring that a thread of the kernel polls, as far as it can be seen.

use ringtrace::event::What;

use super::trace;

#[test]
fn a_polled_ring_has_exact_totals() {
    needs_io_uring!("a_polled_ring_has_exact_totals");
    let (summary, _) = trace("sqpoll");
    assert_eq!((summary.all_entries(), summary.all_completions()), (100, 100));
    assert!(summary.polled);
    assert_eq!(summary.workers, 0, "the polling thread is no worker");
}

/// The memory that an entry pointed at may hold anything once the kernel thread has taken it.
#[test]
fn a_polled_rings_paths_are_true_or_left_out() {
    needs_io_uring!("a_polled_rings_paths_are_true_or_left_out");
    let (_, events) = trace("sqpoll_path");
    for event in &events {
        let What::Submit(submit) = &event.what else { continue };
        let path = submit.details.get("path");
        assert!(path.is_none_or(|path| path == "/dev/null"), "{submit:?}");
    }
}

#[test]
fn what_was_answered_unseen_is_not_under_way() {
    needs_io_uring!("what_was_answered_unseen_is_not_under_way");
    let (summary, _) = trace("sqpoll_flood");
    assert_eq!((summary.all_entries(), summary.all_completions()), (200_000, 200_000));
    // What was read between two looks that miss something can still be wrong.
    let queue = 256;
    let armed = summary.armed.len();
    assert!(armed <= queue, "{armed} under way, {} unseen", summary.unseen_completions);
}
