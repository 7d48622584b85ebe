//! REGISTER_QUERY: ask which operations, flags and features there are.
//!
//! Since 6.18. Takes a chain of questions, each with a place for its answer; needs no ring (the
//! descriptor is -1). liburing: `io_uring_register_query`; crate: none.
//! What the probe and the feature bits do not say: how many operations and register calls, and all
//! setup, enter and entry flags at once. A question that the kernel does not know has
//! EOPNOTSUPP as its own result, and the call succeeds.

use std::io;

use atlas::{Entry, Page, Result, raw};
use common::catalog::{FEATURES, QUERIES, SETUP_FLAGS, ZCRX_FEATURES};
use io_uring::IoUring;
use nix::errno::Errno;

use super::{call, without_a_ring};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_QUERY",
        "IO_URING_QUERY_OPCODES",
        "IO_URING_QUERY_ZCRX",
        "IO_URING_QUERY_SCQ",
        "IO_URING_QUERY_ZCRX_EVENT",
        "ZCRX_FEATURE_RX_PAGE_SIZE",
        "ZCRX_FEATURE_EVENT",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let (mut question, mut answer) = (Question::new("OPCODES"), [0; 16]);
    let (name, asked) = ("IORING_REGISTER_QUERY", "QUERY_OPCODES, ring -1");
    let asked = page.call_since(name, asked, question.ask(&mut answer))?;
    if asked.is_none() {
        return Ok(());
    }
    // `struct io_uring_query_opcode`: two numbers in the first word, then the flags.
    let [numbers, features, setup_flags, ..] = answer;
    page.note("operations", numbers as u32);
    page.note("register calls", numbers >> 32);
    page.note("setup flags", SETUP_FLAGS.flags(setup_flags as u32));
    page.note("features", FEATURES.flags(features as u32));
    let ring = IoUring::new(4)?;
    let same = u64::from(raw::features(ring.params())) == features;
    page.saw("a ring has the features that it names", same)?;

    if let Some([_, _, numbers, ..]) = others(page, "ZCRX")? {
        page.note("of zero-copy receive", ZCRX_FEATURES.flags((numbers >> 32) as u32));
    }
    if let Some([size, alignment, ..]) = others(page, "SCQ")? {
        page.note("the queues' header", format!("{size} bytes, aligned to {alignment}"));
    }
    if let Some([events, ..]) = others(page, "ZCRX_EVENT")? {
        page.note("events of zero-copy receive", format!("{:#b}", events as u32));
    }

    question.query_op = 999;
    page.call("question 999", question.ask(&mut answer))?;
    page.saw("its result is EOPNOTSUPP", question.result == -libc::EOPNOTSUPP)?;
    let (call, nowhere) = (call("REGISTER_QUERY"), std::ptr::without_provenance::<Question>(16));
    // SAFETY: the kernel cannot read there, and says so.
    let refused = unsafe { raw::register(-1, call, nowhere, 0) };
    page.call_refused("a question at address 16", refused, Errno::EFAULT, "not the program's")?;
    // SAFETY: the call is refused for its count.
    let refused = unsafe { raw::register(-1, call, &question, 1) };
    let why = "it takes 0 as the count: the questions are a chain";
    page.call_refused("the count 1", refused, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// Asks a question that came later. `None`, noted on the page, if the kernel does not know it.
fn others(page: &mut Page, short: &str) -> Result<Option<[u64; 16]>> {
    let (mut question, mut answer) = (Question::new(short), [0; 16]);
    page.call(&format!("QUERY_{short}"), question.ask(&mut answer))?;
    if question.result == -libc::EOPNOTSUPP {
        page.lacks(&format!("IO_URING_QUERY_{short}"))?;
        return Ok(None);
    }
    page.saw("the kernel answered it", question.result == 0)?;
    Ok(Some(answer))
}

/// `struct io_uring_query_hdr`.
#[repr(C)]
#[derive(Default)]
struct Question {
    next_entry: u64,
    query_data: u64,
    query_op: u32,
    size: u32,
    result: i32,
    resv: [u32; 3],
}

impl Question {
    fn new(short: &str) -> Question {
        Question { query_op: QUERIES.code(short), ..Question::default() }
    }

    /// Asks it. The kernel fills in as much of the answer as it has, and zeros.
    fn ask(&mut self, answer: &mut [u64; 16]) -> io::Result<u32> {
        self.query_data = answer.as_mut_ptr() as u64;
        self.size = size_of_val(answer) as u32;
        // SAFETY: the kernel reads and writes the question, and at most `size` bytes of the answer.
        without_a_ring(unsafe {
            raw::register(-1, call("REGISTER_QUERY"), std::ptr::from_mut(self), 0)
        })
    }
}
