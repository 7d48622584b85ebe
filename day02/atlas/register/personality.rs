//! REGISTER_PERSONALITY, UNREGISTER_PERSONALITY: keep the caller's rights for later entries.
//!
//! Since 5.6. Returns a number that an entry carries (`sqe->personality`); liburing:
//! `io_uring_register_personality`; crate: `Submitter::register_personality`.
//! For a server that acts for several users: it takes on a user's rights once, registers them, and
//! goes back. An entry with the number then runs with those.

use std::fs::{self, Permissions};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use atlas::{Entry, Page, Result, Where};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use crate::look::{self, NOBODY};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_REGISTER_PERSONALITY", "IORING_UNREGISTER_PERSONALITY"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let ours = page.call("register_personality", ring.submitter().register_personality())?;
    page.note("its number", ours);
    let nop = |personality| opcode::Nop::new().build().personality(personality);
    // SAFETY: here and below, a NOP points at no memory.
    unsafe { page.ask("NOP with that number", &mut ring, nop(ours)) }?;
    with_other_rights(page, &mut ring, ours)?;

    let why = "no rights were kept under that number";
    // SAFETY: as above.
    unsafe { page.refused("NOP with number 999", &mut ring, nop(999), Errno::EINVAL, why) }?;
    page.call("unregister_personality", ring.submitter().unregister_personality(ours))?;
    let why = "they were forgotten";
    // SAFETY: as above.
    unsafe { page.refused("NOP with the old number", &mut ring, nop(ours), Errno::EINVAL, why) }?;
    let again = ring.submitter().unregister_personality(ours);
    page.call_refused("unregister_personality again", again, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// Opens a file of this user's with and without the personality, as another user.
fn with_other_rights(page: &mut Page, ring: &mut IoUring, ours: u16) -> Result<()> {
    let scratch = page.scratch()?;
    fs::write(scratch.path("secret"), "")?;
    fs::set_permissions(scratch.path("secret"), Permissions::from_mode(0o600))?;
    let path = scratch.c_path("secret")?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
    let before = look::open_files_as(NOBODY);
    if look::open_files_as(NOBODY) != NOBODY {
        let why = "only root can take on another user's rights";
        return page.cannot("a file that only the kept rights open", why, Where::Root);
    }
    let why = "the thread is user 65534 now, for files";
    // SAFETY: `path` lives until both opens have completed.
    let answers = unsafe {
        let without = page.refused("OPENAT of our file", ring, open.clone(), Errno::EACCES, why);
        let with = page.ask("OPENAT of our file, with our number", ring, open.personality(ours));
        without.and(with)
    };
    look::open_files_as(before);
    let opened = answers?.result;
    // SAFETY: the descriptor is new and has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(opened) });
    page.saw("it was opened with the rights that were kept", opened >= 0)
}
