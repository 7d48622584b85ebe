//! SINGLE_ISSUER: only one thread submits.
//!
//! Since 6.0. liburing: `io_uring_queue_init`; crate: `Builder::setup_single_issuer`.
//! A promise that the kernel checks: the thread that set the ring up (with R_DISABLED, the one that
//! enabled it) owns it, and any other gets EEXIST. A runtime that moves tasks between threads
//! stumbles over it. Alone it saves little; it is what DEFER_TASKRUN needs.

use std::thread;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_SINGLE_ISSUER"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_single_issuer().build(4);
    let name = "IORING_SETUP_SINGLE_ISSUER";
    let Some(mut ring): Option<IoUring> = page.call_since(name, "SINGLE_ISSUER", built)? else {
        return Ok(());
    };
    let nop = opcode::Nop::new().build();
    // SAFETY: a NOP points at no memory.
    unsafe { page.ask("NOP by its own thread", &mut ring, nop.clone()) }?;

    // SAFETY: as above.
    unsafe { ring.submission().push(&nop) }?;
    let (submitted, registered) =
        elsewhere(|| (ring.submit(), ring.submitter().register_files_sparse(4)));
    let why = "the ring belongs to the thread that set it up";
    page.call_refused("submit by another thread", submitted, Errno::EEXIST, why)?;
    let why = "nor may another thread register anything";
    page.call_refused("register_files by another", registered, Errno::EEXIST, why)?;
    page.saw("the entry stayed in the queue", ring.submission().len() == 1)?;
    page.call("submit by its own thread", ring.submit_and_wait(1))?;

    let built = IoUring::builder().setup_single_issuer().setup_r_disabled().build(4);
    let mut ring: IoUring = page.call("SINGLE_ISSUER, R_DISABLED", built)?;
    let enabled = elsewhere(|| ring.submitter().register_enable_rings());
    page.call("another thread enables it, and so owns it", enabled)?;
    // SAFETY: as above.
    unsafe { ring.submission().push(&nop) }?;
    let why = "the ring belongs to the thread that enabled it";
    page.call_refused("submit by the first", ring.submit(), Errno::EEXIST, why)
}
// ANCHOR_END: show

/// Runs it in another thread.
fn elsewhere<T: Send>(ask: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(ask).join().expect("the thread does not panic"))
}
