//! REGISTER_RESIZE_RINGS: change the sizes of the queues.
//!
//! Since 6.13, on a ring with DEFER_TASKRUN. Takes `struct io_uring_params` with the new sizes;
//! liburing: `io_uring_resize_rings`; crate: none (`atlas::own_ring`).
//! A server begins small, and grows when its completion queue has run over. What is in the queues
//! moves along, but the memory is another: the program maps it again, which the crate's `IoUring`
//! cannot. Where the new index array is the kernel does not say (6.18): only for NO_SQARRAY.

use atlas::own_ring::OwnRing;
use atlas::{Entry, Page, Result};
use common::catalog::SETUP_FLAGS;
use io_uring::opcode;
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_RESIZE_RINGS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let flags = ["SINGLE_ISSUER", "DEFER_TASKRUN", "NO_SQARRAY"];
    let flags = flags.map(|flag| SETUP_FLAGS.code(flag)).into_iter().sum();
    let (name, asked) = ("IORING_SETUP_NO_SQARRAY", "4 entries, DEFER_TASKRUN, NO_SQARRAY");
    let Some(mut ring) = page.call_since(name, asked, OwnRing::setup(4, flags))? else {
        return Ok(());
    };
    page.note("completion queue", ring.params().cq_entries);
    nops(&mut ring, &[1, 2, 3, 4])?;
    page.note("4 NOPs", "completed, and not reaped");
    let resized = ring.resize(16, 64);
    let name = "IORING_REGISTER_RESIZE_RINGS";
    if page.call_since(name, "resize to 16 entries, 64 completions", resized)?.is_none() {
        return Ok(());
    }
    page.note("completion queue", ring.params().cq_entries);
    let kept: Vec<u64> = std::iter::from_fn(|| ring.completion()).map(|it| it.user_data).collect();
    page.saw("all 4 completions moved along", kept == [1, 2, 3, 4])?;
    nops(&mut ring, &[5; 16])?;
    page.saw("16 entries fit into one submit", (0..16).all(|_| ring.completion().is_some()))?;

    nops(&mut ring, &[6; 5])?;
    let small = ring.resize(4, 4);
    let why = "5 completions wait to be reaped, and do not fit into 4";
    page.call_refused("resize to 4 completions", small, Errno::EOVERFLOW, why)?;
    page.saw("the ring is as it was", (0..5).all(|_| ring.completion().is_some()))?;
    let none = ring.resize(0, 4);
    page.call_refused("resize to 0 entries", none, Errno::EINVAL, "a ring has entries")?;
    let plain = OwnRing::setup(4, SETUP_FLAGS.code("NO_SQARRAY"))?.resize(16, 64);
    let why = "without DEFER_TASKRUN others could use the queues meanwhile";
    page.call_refused("resize of a ring without DEFER_TASKRUN", plain, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// Submits NOPs with these numbers, and waits for them.
fn nops(ring: &mut OwnRing, numbers: &[u64]) -> Result<()> {
    for number in numbers {
        // SAFETY: a NOP points at no memory.
        unsafe { ring.push(&opcode::Nop::new().build().user_data(*number)) };
    }
    ring.enter(numbers.len() as u32, numbers.len() as u32)?;
    Ok(())
}
