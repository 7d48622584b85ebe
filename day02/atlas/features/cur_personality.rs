//! FEAT_CUR_PERSONALITY: operations run with the rights of the thread that submits them.
//!
//! Since 5.6. Before, with the rights of the thread that had set the ring up. A program that gives
//! rights up after the setup no longer has them; to keep them for some entries, register them first
//! (REGISTER_PERSONALITY).

use std::fs::{self, Permissions};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use atlas::{Entry, Page, Result, Where};
use io_uring::{opcode, types};
use nix::errno::Errno;

use super::ring_with;
use crate::look::{self, NOBODY};

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_CUR_PERSONALITY"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_CUR_PERSONALITY";
    let has = |params: &io_uring::Parameters| params.is_feature_cur_personality();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let scratch = page.scratch()?;
    fs::write(scratch.path("secret"), "")?;
    fs::set_permissions(scratch.path("secret"), Permissions::from_mode(0o600))?;
    let path = scratch.c_path("secret")?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
    // SAFETY: here and below, `path` lives until the open has completed.
    let opened = unsafe { page.ask("OPENAT of a file of ours", &mut ring, open.clone()) }?.result;
    // SAFETY: the descriptor is new and has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(opened) });

    let before = look::open_files_as(NOBODY);
    if look::open_files_as(NOBODY) != NOBODY {
        let why = "only root can take on another user's rights";
        return page.cannot("an open with other rights than the setup", why, Where::Root);
    }
    let why = "the thread is user 65534 now, for files; the ring is the same";
    // SAFETY: as above.
    let refused =
        unsafe { page.refused("the same, as another user", &mut ring, open, Errno::EACCES, why) };
    look::open_files_as(before);
    refused
}
// ANCHOR_END: show
