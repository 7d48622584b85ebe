//! A page's reactions to the kernel's answers.

use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use testkit::io_uring_or_skip;

use super::Page;
use crate::{Ask, Entry, Family, Where};

const ENTRY: Entry = Entry { shows: &["IORING_OP_NOP"], show: |_| Ok(()) };
const FAMILY: Family = Family { name: "nothing", entries: &[ENTRY] };

fn page_and_ring(test: &str) -> Option<(Page, IoUring)> {
    io_uring_or_skip(test).then(|| (Page::new(&FAMILY, &ENTRY), IoUring::new(4).unwrap()))
}

fn nop() -> io_uring::squeue::Entry {
    opcode::Nop::new().build()
}

/// Answered with EBADF.
fn close_nothing() -> io_uring::squeue::Entry {
    opcode::Close::new(Fd(-1)).build()
}

#[test]
fn an_answer_that_is_not_as_said_fails_the_entry() {
    let Some((mut page, mut ring)) = page_and_ring("an_answer_that_is_not_as_said") else { return };
    // SAFETY: here and below, the entries name no memory.
    let succeeded = unsafe { page.refused("NOP", &mut ring, nop(), Errno::EINVAL, "it is odd") };
    let told = "NOP: the kernel answered 0; expected was EINVAL (it is odd)";
    assert_eq!(succeeded.unwrap_err().to_string(), told);
    // SAFETY: as above.
    let failed = unsafe { page.ask("CLOSE", &mut ring, close_nothing()) };
    let told = "CLOSE: the kernel answered EBADF; expected was success";
    assert_eq!(failed.unwrap_err().to_string(), told);
    let report = page.finish(Ok(()));
    assert_eq!(report.rows.len(), 2, "what was answered is noted all the same");
}

#[test]
fn where_kernels_differ_any_of_their_answers_will_do() {
    let Some((mut page, mut ring)) = page_and_ring("where_kernels_differ") else { return };
    let ask = |entry| Ask::new("it", entry).or_refused(Errno::EBADF, "nothing is open there");
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, [ask(nop()), ask(close_nothing())]) }.unwrap();
    let why: Vec<_> = page.finish(Ok(())).rows.into_iter().map(|row| row.why).collect();
    assert_eq!(why, [None, Some("nothing is open there".to_string())]);
}

#[test]
fn an_entry_without_a_completion_is_heard_of_if_it_fails() {
    let Some((mut page, mut ring)) = page_and_ring("an_entry_without_a_completion") else { return };
    if !ring.params().is_feature_skip_cqe_on_success() {
        return testkit::skipped("an_entry_without_a_completion", "it came with Linux 5.17");
    }
    let silent = |entry: io_uring::squeue::Entry| entry.flags(Flags::SKIP_SUCCESS);
    let asks = [Ask::new("silent NOP", silent(nop())), Ask::new("NOP", nop())];
    // SAFETY: as above.
    assert_eq!(unsafe { page.ask_all(&mut ring, asks) }.unwrap().len(), 1);
    let asks = [Ask::new("silent CLOSE", silent(close_nothing())), Ask::new("NOP", nop())];
    // SAFETY: as above.
    let error = unsafe { page.ask_all(&mut ring, asks) }.unwrap_err();
    assert!(error.to_string().starts_with("silent CLOSE: the kernel answered EBADF"), "{error}");
}

#[test]
fn completions_wait_for_the_call_that_asks_for_them() {
    let Some((mut page, mut ring)) = page_and_ring("completions_wait") else { return };
    // SAFETY: as above.
    let [first, second] = [1, 2].map(|_| unsafe { page.start("NOP", &mut ring, nop()) });
    assert_ne!(first.user_data(), second.user_data());
    for started in [second, first] {
        assert_eq!(page.answer(&started, &mut ring).unwrap().user_data, started.user_data());
    }
}

#[test]
fn what_cannot_be_shown_is_no_failure() {
    let mut page = Page::new(&FAMILY, &ENTRY);
    page.lacks("IORING_OP_NOP128").unwrap();
    let deep = crate::LeftOut::new("a card", "this machine has no such card", Where::OtherMachine);
    let report = page.finish(Err(deep.into()));
    let what: Vec<_> = report.left_out.iter().map(|left_out| left_out.what.as_str()).collect();
    assert_eq!((what, report.failed), (vec!["IORING_OP_NOP128", "a card"], None));
}

#[test]
fn the_scratch_folder_goes_with_the_page() {
    let mut page = Page::new(&FAMILY, &ENTRY);
    let file = page.scratch().unwrap().path("log");
    std::fs::write(&file, "text").unwrap();
    drop(page);
    assert!(!file.parent().unwrap().exists());
}
