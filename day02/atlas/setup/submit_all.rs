//! SUBMIT_ALL: go on submitting after an entry that fails.
//!
//! Since 5.18. Liburing: `io_uring_queue_init`; crate: `Builder::setup_submit_all`.
//! Without it an entry that cannot even be started (an unknown operation, a flag that does not fit
//! it) ends the submit: it gets its completion, and those behind it wait in the queue for the next
//! enter. The count that enter returns says so, and few programs look.

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

/// A NOP, a NOP that is to pick a buffer, which NOP cannot, and a NOP.
fn push_three(ring: &mut IoUring) -> Result<()> {
    for flags in [squeue::Flags::empty(), squeue::Flags::BUFFER_SELECT, squeue::Flags::empty()] {
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&opcode::Nop::new().build().flags(flags)) }?;
    }
    Ok(())
}

fn results(ring: &mut IoUring) -> String {
    let results: Vec<String> =
        ring.completion().map(|completion| completion.result().to_string()).collect();
    results.join(", ")
}
