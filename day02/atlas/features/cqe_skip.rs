//! FEAT_CQE_SKIP: an entry can ask for no completion when it succeeds.
//!
//! Since 5.17, by `IOSQE_CQE_SKIP_SUCCESS`. For the first entries of a chain, whose success the
//! last one implies, and for closes. A failure always completes, so the number of completions is
//! not the number of entries. Not together with `IOSQE_IO_DRAIN`, which counts them.

use atlas::{Ask, Entry, Page, Result};
use io_uring::{opcode, squeue::Flags, types};
use nix::errno::Errno;

use super::ring_with;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_CQE_SKIP"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_CQE_SKIP";
    let has = |params: &io_uring::Parameters| params.is_feature_skip_cqe_on_success();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let nop = opcode::Nop::new().build();
    let silent = nop.clone().flags(Flags::SKIP_SUCCESS);
    let asks = [Ask::new("NOP with CQE_SKIP_SUCCESS", silent.clone()), Ask::new("NOP", nop)];
    // SAFETY: here and below, the entries point at no memory.
    let answers = unsafe { page.ask_all(&mut ring, asks) }?;
    page.saw("two entries, one completion", answers.len() == 1 && ring.completion().is_empty())?;

    let close = opcode::Close::new(types::Fd(-1)).build().flags(Flags::SKIP_SUCCESS);
    let why = "-1 is no descriptor; a failure is never skipped";
    // SAFETY: as above.
    unsafe { page.refused("CLOSE of -1, CQE_SKIP_SUCCESS", &mut ring, close, Errno::EBADF, why) }?;
    let drain = silent.flags(Flags::SKIP_SUCCESS | Flags::IO_DRAIN);
    let why = "a drain waits for a number of completions, and skipped ones are not counted";
    // SAFETY: as above.
    unsafe { page.refused("NOP with both, IO_DRAIN too", &mut ring, drain, Errno::EOPNOTSUPP, why) }
}
// ANCHOR_END: show
