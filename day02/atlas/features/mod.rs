//! The feature bits: what a kernel does beyond the first one, seen in the behaviour of a ring.

use std::os::unix::net::UnixStream;

use atlas::{Page, Result};
use io_uring::IoUring;

mod cqe_skip;
mod cur_personality;
mod ext_arg;
mod fast_poll;
mod linked_file;
mod min_timeout;
mod native_workers;
mod no_iowait;
mod nodrop;
mod poll_32bits;
mod recvsend_bundle;
mod reg_reg_ring;
mod rsrc_tags;
mod rw_attr;
mod rw_cur_pos;
mod single_mmap;
mod sqpoll_nonfixed;
mod submit_stable;

/// The entries of this family, in the order of the bits.
pub const ENTRIES: &[atlas::Entry] = &[
    single_mmap::ENTRY,
    nodrop::ENTRY,
    submit_stable::ENTRY,
    rw_cur_pos::ENTRY,
    cur_personality::ENTRY,
    fast_poll::ENTRY,
    poll_32bits::ENTRY,
    sqpoll_nonfixed::ENTRY,
    ext_arg::ENTRY,
    native_workers::ENTRY,
    rsrc_tags::ENTRY,
    cqe_skip::ENTRY,
    linked_file::ENTRY,
    reg_reg_ring::ENTRY,
    recvsend_bundle::ENTRY,
    min_timeout::ENTRY,
    rw_attr::ENTRY,
    no_iowait::ENTRY,
];

/// A ring with the feature whose bit `has` looks at; `None`, noted on the page, if this kernel
/// lacks it.
fn ring_with(
    page: &mut Page,
    name: &str,
    has: impl Fn(&io_uring::Parameters) -> bool,
) -> Result<Option<IoUring>> {
    let ring = IoUring::new(4)?;
    if !has(ring.params()) {
        page.lacks(name)?;
        return Ok(None);
    }
    page.note("the bit in params.features", "set");
    Ok(Some(ring))
}

/// A pair of sockets: ours, and the peer's.
fn sockets() -> Result<(UnixStream, UnixStream)> {
    Ok(UnixStream::pair()?)
}
