//! REGISTER_QUERY: which operations, flags and features there are.
//!
//! Since 6.18. Takes a chain of questions, each with a place for its answer; needs no ring (the
//! descriptor is -1). Liburing: `io_uring_register_query`; crate: none, by hand.
//! What the probe and the feature bits do not say: how many operations and register calls, and all
//! setup, enter and entry flags at once. A question that the kernel does not know has
//! EOPNOTSUPP as its own result, and the call succeeds.

use std::io;

use atlas::{Entry, Page, Result, raw};
use common::catalog::{FEATURES, OPERATIONS, SETUP_FLAGS};
use io_uring::IoUring;
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_QUERY"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let (mut opcodes, mut question) = (Opcodes::default(), Question::default());
    let asked = query(&mut question, &mut opcodes);
    let name = "IORING_REGISTER_QUERY";
    if page.call_since(name, "IO_URING_QUERY_OPCODES, ring -1", asked)?.is_none() {
        return Ok(());
    }
    page.note("operations", opcodes.request_opcodes);
    page.note("register calls", opcodes.register_opcodes);
    page.note("setup flags", SETUP_FLAGS.flags(opcodes.setup_flags as u32));
    page.note("features", FEATURES.flags(opcodes.features as u32));
    let counts =
        |last: u32| OPERATIONS.get(last - 1).is_some() || last as usize > OPERATIONS.entries.len();
    page.saw(
        "the number of operations is one beyond a known one",
        counts(opcodes.request_opcodes),
    )?;
    let ring = IoUring::new(4)?;
    let nodrop = u64::from(FEATURES.code("NODROP"));
    let agrees = ring.params().is_feature_nodrop() == (opcodes.features & nodrop != 0);
    page.saw("a ring has the features that it names", agrees)?;

    question = Question { query_op: 999, ..Question::default() };
    page.call("question 999", query(&mut question, &mut opcodes))?;
    let unknown = question.result == -libc::EOPNOTSUPP;
    page.saw("the call succeeds; the question's result is EOPNOTSUPP", unknown)?;
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

/// `struct io_uring_query_opcode`.
#[repr(C)]
#[derive(Default)]
struct Opcodes {
    request_opcodes: u32,
    register_opcodes: u32,
    features: u64,
    setup_flags: u64,
    enter_flags: u64,
    sqe_flags: u64,
    query_opcodes: u32,
    pad: u32,
}

fn query(question: &mut Question, answer: &mut Opcodes) -> io::Result<u32> {
    question.query_data = std::ptr::from_mut(answer) as u64;
    question.size = size_of::<Opcodes>() as u32;
    // SAFETY: the kernel reads and writes the question, and at most `size` bytes of the answer.
    unsafe { raw::register(-1, call("REGISTER_QUERY"), std::ptr::from_mut(question), 0) }
}
