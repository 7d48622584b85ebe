//! FEAT_FAST_POLL: waiting for readiness costs no worker thread.
//!
//! Since 5.7. A read or receive that finds nothing does not block a worker: the kernel polls the
//! file by itself, and tries again when there is something. For sockets, pipes and other files that
//! can be polled. With `IOSQE_ASYNC` a worker does it all the same, at first.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::thread;

use atlas::{Entry, Page, Result};
use common::memory::forever;
use io_uring::{opcode, squeue, types};

use super::{ring_with, sockets};
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_FAST_POLL"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    // A new thread, which has had no worker yet.
    let shown = thread::scope(|scope| scope.spawn(|| receive_without_worker(page)).join());
    shown.expect("the thread does not panic")
}

fn receive_without_worker(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_FAST_POLL";
    let has = |params: &io_uring::Parameters| params.is_feature_fast_poll();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let (ours, mut theirs) = sockets()?;
    let bytes = forever([0; 5]);
    let address = bytes.as_mut_ptr();
    let receive =
        || -> squeue::Entry { opcode::Recv::new(types::Fd(ours.as_raw_fd()), address, 5).build() };
    // SAFETY: here and below, `bytes` is never freed, and looked at when the receive has completed.
    let started = unsafe { page.start("RECV of an empty socket", &mut ring, receive()) };
    page.saw(
        "it waits, and this thread has no worker",
        look::workers_of_this_thread()?.is_empty(),
    )?;
    page.call("5 bytes arrive", theirs.write_all(b"bytes"))?;
    page.answer(&started, &mut ring)?;
    page.saw("received, and still no worker", look::workers_of_this_thread()?.is_empty())?;

    theirs.write_all(b"bytes")?;
    let by_a_worker = receive().flags(squeue::Flags::ASYNC);
    // SAFETY: as above.
    unsafe { page.ask("RECV with IOSQE_ASYNC, bytes there", &mut ring, by_a_worker) }?;
    let workers = look::workers_of_this_thread()?.len();
    page.note("workers of this thread: what IOSQE_ASYNC costs", workers);
    page.saw("the bytes were received", *bytes == *b"bytes")
}
// ANCHOR_END: show
