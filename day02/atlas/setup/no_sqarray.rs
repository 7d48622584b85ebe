//! NO_SQARRAY: no index array between the submission queue and its entries.
//!
//! Since 6.6. liburing: `io_uring_queue_init` (and by itself since 2.6); crate:
//! `Builder::setup_no_sqarray`.
//! Without it the queue is an array of indices: place 3 of the queue may name entry 0. Hardly any
//! program needs that, and each submit pays for the look-up. With it the n-th place is the n-th
//! entry, and `sq_off.array` is 0: a program that fills the array in all the same overwrites the
//! queue's head.

use atlas::own_ring::OwnRing;
use atlas::{Entry, Page, Result};
use io_uring::opcode;

use super::flag;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_NO_SQARRAY"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = page.call("a ring with an index array", OwnRing::setup(4, 0))?;
    page.note("sq_off.array", ring.params().sq_off[6]);
    ring.set_order(&[1, 0, 2, 3]);
    page.note("the array", "1 0 2 3: the second entry first");
    let order = order_of_two(&mut ring)?;
    page.saw("entries 1 and 2 ran in the order 2, 1", order == [2, 1])?;

    let built = OwnRing::setup(4, flag("NO_SQARRAY"));
    let name = "IORING_SETUP_NO_SQARRAY";
    let Some(mut ring) = page.call_since(name, "NO_SQARRAY", built)? else { return Ok(()) };
    page.saw("sq_off.array is 0: the ring has no index array", ring.params().sq_off[6] == 0)?;
    let order = order_of_two(&mut ring)?;
    page.saw("entries 1 and 2 ran in the order 1, 2", order == [1, 2])
}
// ANCHOR_END: show

/// Puts NOPs 1 and 2 into the entries 0 and 1, and returns the order in which they completed.
fn order_of_two(ring: &mut OwnRing) -> Result<Vec<u64>> {
    for number in [1, 2] {
        // SAFETY: a NOP points at no memory.
        unsafe { ring.push(&opcode::Nop::new().build().user_data(number)) };
    }
    ring.enter(2, 2)?;
    Ok(std::iter::from_fn(|| ring.completion()).map(|answer| answer.user_data).collect())
}
