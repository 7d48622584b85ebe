//! Threads and processes are followed, also while they sleep and when they end.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::Signal;
use ringtrace::Trace;
use ringtrace::event::{Event, What};
use testkit::PATIENCE;

use super::{assert_nops, program, scenarios, start, trace};

#[test]
fn threads_that_share_a_ring() {
    needs_io_uring!("threads_that_share_a_ring");
    let (summary, _) = trace("threads");
    assert_nops(&summary, 100);
    assert_eq!(summary.enters, 100);
}

/// The thread that waits often returns first: it has not submitted the entries that it sees.
#[test]
fn an_entry_is_the_threads_that_submitted_it() {
    needs_io_uring!("an_entry_is_the_threads_that_submitted_it");
    let (summary, events) = trace("submits_and_waits");
    assert_nops(&summary, 500);
    let submits = |event: &&Event| matches!(&event.what, What::Enter(e) if e.to_submit > 0);
    let submitter = events.iter().find(submits).expect("an enter that submits").tid;
    let mut entered = false;
    for event in &events {
        match &event.what {
            What::Enter(enter) if enter.to_submit > 0 => entered = true,
            What::Submit(submit) => {
                assert_eq!(event.tid, submitter, "entry {} is another's", submit.seq);
                assert!(entered, "entry {} before its enter", submit.seq);
                entered = false;
            }
            _ => {}
        }
    }
}

#[test]
fn children_are_followed() {
    needs_io_uring!("children_are_followed");
    let (summary, events) = trace("fork");
    assert_nops(&summary, 4);
    assert_eq!(summary.rings, 2);
    let programs = events.iter().filter(|event| matches!(event.what, What::Start(_))).count();
    assert_eq!(programs, 3, "the program and its two children");
}

#[test]
fn a_sleeping_enter_is_told_while_it_sleeps_and_the_program_can_be_killed() {
    needs_io_uring!("a_sleeping_enter_is_told_while_it_sleeps_and_the_program_can_be_killed");
    let trace = start("hang");
    let asleep = |events: &[Event]| {
        events.iter().any(|event| matches!(&event.what, What::Submit(s) if s.op == "TIMEOUT"))
    };
    assert!(trace.wait_for(PATIENCE, asleep), "{:?}", trace.events());
    assert_eq!(trace.summary().enters, 1);
    trace.signal(Signal::SIGKILL);
    let outcome = trace.finish();
    assert_eq!(outcome.status, 137);
    assert_eq!(outcome.summary.armed.len(), 1);
}

/// No event that came after it is reported before it.
#[test]
fn a_sleeping_enter_of_a_ring_that_is_not_followed_is_told_too() {
    needs_io_uring!("a_sleeping_enter_of_a_ring_that_is_not_followed_is_told_too");
    let ring = io_uring::IoUring::new(1).expect("a ring");
    // A duplicate is inherited; the ring's own descriptor is closed on exec.
    // SAFETY: the new descriptor has no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::dup(ring.as_raw_fd())) };
    let mut program = program("inherited");
    program.env.push((scenarios::tasks::RING.into(), fd.as_raw_fd().to_string().into()));
    let trace = Trace::start(program, false, Vec::new()).expect("a trace");
    let entered = |events: &[Event]| events.iter().any(|e| matches!(e.what, What::Enter(_)));
    let told = trace.wait_for(PATIENCE, entered);
    trace.signal(Signal::SIGKILL);
    assert_eq!(trace.finish().status, 137);
    assert!(told, "the enter was not told while it slept");
}

#[test]
fn a_stop_ends_a_program_that_does_not_stop_by_itself() {
    needs_io_uring!("a_stop_ends_a_program_that_does_not_stop_by_itself");
    let trace = start("hang");
    let begun = |events: &[Event]| events.iter().any(|e| matches!(e.what, What::Setup(_)));
    assert!(trace.wait_for(PATIENCE, begun));
    let (outcome, events) = trace.stop(Duration::from_secs(5));
    assert_eq!(outcome.status, 130, "SIGINT was enough");
    assert!(matches!(events.last().map(|event| &event.what), Some(What::Exit(_))));
}

#[test]
fn a_stop_ends_a_program_from_a_job_in_the_background() {
    // As `cargo test &` in a script: SIGINT is ignored there.
    let mut again = std::process::Command::new("sh");
    again.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    again.args(["--exact", "tasks::a_stop_ends_a_program_that_does_not_stop_by_itself"]);
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed; 0 failed"), "{text}");
}
