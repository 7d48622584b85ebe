//! Rings of every kind are followed, and their queues are read right.

use ringtrace::event::{Event, What};

use super::{assert_nops, trace, trace_if_it_can_run};

#[test]
fn the_setup_is_told_as_asked_and_granted() {
    needs_io_uring!("the_setup_is_told_as_asked_and_granted");
    let (_, events) = trace("overflow");
    let setup = events
        .iter()
        .find_map(|event| match &event.what {
            What::Setup(setup) => Some(setup),
            _ => None,
        })
        .expect("a setup");
    assert_eq!((setup.asked_entries, setup.asked_cq_entries), (4, 4));
    assert!(setup.asked_flags.contains(&"CQSIZE".to_string()));
    let granted = setup.granted.as_ref().expect("a ring");
    assert_eq!((granted.sq_entries, granted.cq_entries), (4, 4));
    assert!(granted.features.contains(&"NODROP".to_string()));
}

#[test]
fn large_entries_and_completions() {
    needs_io_uring!("large_entries_and_completions");
    let (summary, events) = trace("large");
    assert_nops(&summary, 10);
    let large = |event: &Event| matches!(&event.what, What::Complete(c) if c.extra.is_some());
    assert_eq!(events.iter().filter(|event| large(event)).count(), 10);
}

#[test]
fn several_rings_are_told_apart() {
    needs_io_uring!("several_rings_are_told_apart");
    let (summary, events) = trace("two_rings");
    assert_nops(&summary, 4);
    let rings: Vec<u32> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Submit(submit) => Some(submit.ring),
            _ => None,
        })
        .collect();
    assert_eq!(rings, [1, 2, 2, 2]);
}

#[test]
fn a_registered_index_is_as_good_as_a_descriptor() {
    needs_io_uring!("a_registered_index_is_as_good_as_a_descriptor");
    let (summary, events) = trace("registered");
    assert_nops(&summary, 3);
    let by_index = |event: &&Event| {
        matches!(&event.what, What::Enter(enter)
            if enter.ring == Some(1) && enter.flags.iter().any(|flag| flag == "REGISTERED_RING"))
    };
    assert_eq!(events.iter().filter(by_index).count(), 3);
    assert_eq!(summary.registers["REGISTER_RING_FDS"], 1);
}

#[test]
fn a_ring_in_the_programs_own_memory() {
    needs_io_uring!("a_ring_in_the_programs_own_memory");
    let Some((summary, _)) = trace_if_it_can_run("own_memory") else { return };
    assert_nops(&summary, 10);
    assert_eq!(summary.never_reaped, 0);
}

#[test]
fn a_ring_that_grows() {
    needs_io_uring!("a_ring_that_grows");
    let Some((summary, events)) = trace_if_it_can_run("resize") else { return };
    assert_nops(&summary, 9);
    assert_eq!(summary.never_reaped, 9, "those from before the resize are still there");
    let sizes = events.iter().find_map(|event| match &event.what {
        What::Register(register) => register.resized.as_ref(),
        _ => None,
    });
    assert_eq!(sizes.map(|sizes| (sizes.sq_entries, sizes.cq_entries)), Some((16, 32)));
}

#[test]
fn a_queue_that_comes_round_many_times() {
    needs_io_uring!("a_queue_that_comes_round_many_times");
    let (summary, _) = trace("array");
    assert_nops(&summary, 100);
    assert_eq!(summary.enters, 25);
}

#[test]
fn a_garbled_tail_makes_no_completions() {
    needs_io_uring!("a_garbled_tail_makes_no_completions");
    let Some((summary, _)) = trace_if_it_can_run("garbled_tail") else { return };
    assert_eq!((summary.all_entries(), summary.unseen_completions), (10, 0), "{summary:#?}");
}

#[test]
fn an_overflowing_queue_loses_nothing() {
    needs_io_uring!("an_overflowing_queue_loses_nothing");
    let (summary, _) = trace("overflow");
    assert_nops(&summary, 12);
    assert!(summary.overflows > 0, "the queue was full: {summary:#?}");
}

/// A tracer that kept a copy of the ring would keep its accept armed, and the port taken.
#[test]
fn a_closed_ring_is_let_go() {
    needs_io_uring!("a_closed_ring_is_let_go");
    let (summary, _) = trace("rebind");
    assert_eq!(summary.armed.len(), 1, "the accept was armed: {:?}", summary.armed);
}
