//! What the scenarios share.

use io_uring::{IoUring, opcode, squeue, types};

/// The arguments that make this test executable one of the scenarios.
pub const AGAIN: [&str; 4] = ["--exact", "traced", "--nocapture", "--quiet"];

/// The exit status of a scenario that needs a feature which this kernel lacks.
pub const NOT_HERE: i32 = 77;

/// Ends a scenario that this kernel cannot run.
pub fn not_here(why: &str) {
    eprintln!("SKIPPED: {why}");
    std::process::exit(NOT_HERE);
}

pub fn nop(user_data: u64) -> squeue::Entry {
    opcode::Nop::new().build().user_data(user_data)
}

pub fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: no entry of these scenarios points at memory that ends before its completion.
    unsafe { ring.submission().push(entry) }.expect("room for an entry");
}

pub fn submit(ring: &mut IoUring, entries: &[squeue::Entry], wait: usize) {
    for entry in entries {
        push(ring, entry);
    }
    ring.submit_and_wait(wait).expect("an enter");
}

pub fn reap(ring: &mut IoUring) -> usize {
    ring.completion().count()
}

pub fn timeout(time: &types::Timespec) -> squeue::Entry {
    opcode::Timeout::new(time).build().user_data(5)
}
