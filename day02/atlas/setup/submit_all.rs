//! SUBMIT_ALL: go on submitting after an entry that fails.
//!
//! Since 5.18. liburing: `io_uring_queue_init`; crate: `Builder::setup_submit_all`.
//! Without it an entry that cannot even be started (an unknown operation, a flag that does not fit
//! it) ends the submit: it gets its completion, and those behind it wait in the queue for the next
//! enter. The count that enter returns says so, and few programs check it.

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, squeue};

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_SUBMIT_ALL"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    push_three(&mut ring)?;
    let submitted = page.call("good, bad, good: submit", ring.submit())?;
    page.note("entries submitted", submitted);
    page.saw("the bad one is counted, the one behind it is not", submitted == 2)?;
    page.saw("that one is still in the queue", ring.submission().len() == 1)?;
    page.note("results", results(&mut ring));
    page.call("the mistake is to expect it: submit again", ring.submit())?;
    page.note("results", results(&mut ring));

    let built = IoUring::builder().setup_submit_all().build(4);
    let Some(mut ring) = page.call_since("IORING_SETUP_SUBMIT_ALL", "SUBMIT_ALL", built)? else {
        return Ok(());
    };
    push_three(&mut ring)?;
    let submitted = page.call("good, bad, good: submit", ring.submit())?;
    page.saw("all three were submitted", submitted == 3 && ring.submission().is_empty())?;
    let results = results(&mut ring);
    page.note("results", &results);
    page.saw("only the bad one failed", results == format!("0, -{}, 0", libc::EOPNOTSUPP))
}
// ANCHOR_END: show

/// A NOP, a NOP that asks for a buffer, which NOP cannot use, and a NOP.
fn push_three(ring: &mut IoUring) -> Result<()> {
    let (good, bad) = (squeue::Flags::empty(), squeue::Flags::BUFFER_SELECT);
    for (number, flags) in (1..).zip([good, bad, good]) {
        let nop = opcode::Nop::new().build().flags(flags).user_data(number);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&nop) }?;
    }
    Ok(())
}

/// The results in the order of the entries, since kernels complete them in different orders.
fn results(ring: &mut IoUring) -> String {
    let mut results: Vec<(u64, i32)> =
        ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
    results.sort_unstable();
    let results: Vec<String> = results.iter().map(|(_, result)| result.to_string()).collect();
    results.join(", ")
}
