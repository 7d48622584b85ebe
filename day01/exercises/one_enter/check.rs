//! `one_enter`: eight NOPs with tags that nobody knows beforehand, by one call.

use crate::exercise::prelude::*;

/// As many as the ring of the starter holds.
const TAGS: usize = 8;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    for _ in 0..2 {
        let tags: Vec<u64> = (0..TAGS).map(|_| nops::tag(attempt)).collect();
        let mut launch = attempt.run("The program was run with eight tags.");
        for tag in &tags {
            launch = launch.arg(tag.to_string());
        }
        one_call(&launch.to_end()?, &tags)?;
    }
    Ok(Passed::new("The kernel was called once, and took all eight."))
}

fn one_call(record: &Record, tags: &[u64]) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    nops::need_tags(record, tags)?;
    record.need_all_reaped()?;
    let calls = record
        .returns()
        .filter(|back| back.error.as_deref() != Some("EINTR"))
        .count();
    if calls > 1 {
        let mut kernel = record.lines(|what| matches!(what, What::Enter(_)));
        kernel.push(format!("calls of io_uring_enter: {calls}"));
        return Err(record.fail(ids::ENTERS).kernel(kernel).rule(
            "Entries pile up in the submission queue until somebody enters the kernel. One \
             `submit_and_wait(8)` hands over all that is in the queue, and waits for all.",
        ));
    }
    nops::need_printed(record, tags)
}
