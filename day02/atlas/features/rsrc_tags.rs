//! FEAT_RSRC_TAGS: registered files and buffers can be tagged and updated.
//!
//! Since 5.13. The kernel says by a completion when it has let go of a registered file or buffer:
//! see FILES2, FILES_UPDATE2, BUFFERS2 and BUFFERS_UPDATE. Without it, to replace a buffer the
//! whole table had to be unregistered, which waited for all that was under way.

use atlas::{Entry, Page, Result};
use nix::errno::Errno;

use super::ring_with;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_RSRC_TAGS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_RSRC_TAGS";
    let has = |params: &io_uring::Parameters| params.is_feature_resource_tagging();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let mut memory = [[0_u8; 16]; 2];
    let buffers = memory
        .each_mut()
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
    // SAFETY: here and below, no operation uses the buffers, and `memory` outlives the table.
    let registered = unsafe { ring.submitter().register_buffers2(&buffers[..1], &[0x7a61]) };
    page.call("a buffer with tag 0x7a61", registered)?;
    // SAFETY: as above.
    let replaced =
        unsafe { ring.submitter().register_buffers_update(0, &buffers[1..], Some(&[0x7a62])) };
    page.call("another in its place, tag 0x7a62", replaced)?;
    page.arrives("the kernel let go of the first", &mut ring, 0x7a61);
    // SAFETY: as above.
    let replaced = unsafe { ring.submitter().register_buffers_update(0, &buffers[..1], None) };
    page.call("the first again, without a tag", replaced)?;
    page.arrives("the kernel let go of the second", &mut ring, 0x7a62);
    page.call("unregister_buffers", ring.submitter().unregister_buffers())?;

    // SAFETY: as above.
    let late = unsafe { ring.submitter().register_buffers_update(0, &buffers[..1], None) };
    page.call_refused("an update without a table", late, Errno::ENXIO, "make the table first")
}
// ANCHOR_END: show
