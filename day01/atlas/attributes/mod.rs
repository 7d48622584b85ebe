//! Extended attributes: names with values that a file has beside its bytes (`xattr(7)`).

use std::ffi::{CStr, CString};

use atlas::{LeftOut, Page, Result, Where};
use nix::errno::Errno;

mod fgetxattr;
mod fsetxattr;
mod getxattr;
mod setxattr;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] =
    &[setxattr::ENTRY, getxattr::ENTRY, fsetxattr::ENTRY, fgetxattr::ENTRY];

/// The path of a file whose attribute `user.colour` is `red`.
///
/// # Errors
/// If the file system has no attributes for users, as tmpfs had none before Linux 6.6.
fn red_file(page: &mut Page) -> Result<CString> {
    let scratch = page.scratch()?;
    scratch.file("report")?;
    let path = scratch.c_path("report")?;
    let (name, value) = (c"user.colour".as_ptr(), b"red");
    // SAFETY: path and name end with a zero byte, and the value has three bytes.
    let set = unsafe { libc::setxattr(path.as_ptr(), name, value.as_ptr().cast(), 3, 0) };
    match Errno::result(set) {
        Err(Errno::EOPNOTSUPP) => Err(LeftOut {
            what: "attributes of files".to_string(),
            why: format!("the file system of {path:?} has none; choose another with TMPDIR"),
            seen: Where::OtherMachine,
        }
        .into()),
        result => Ok(result.map(|_| path)?),
    }
}

/// The words if FSETXATTR and FGETXATTR take no slot: they do not on 6.12, but do on 6.18.
fn slots_missing() -> LeftOut {
    LeftOut {
        what: "attributes of a slot's file".to_string(),
        why: "this kernel takes a descriptor only".to_string(),
        seen: Where::NewerKernel,
    }
}

/// The attribute as getxattr(2) sees it; empty if the file has no such attribute.
fn attribute(path: &CStr, name: &CStr) -> Vec<u8> {
    let mut value = vec![0_u8; 256];
    let (into, len) = (value.as_mut_ptr().cast(), value.len());
    // SAFETY: path and name end with a zero byte, and the value has room for `len` bytes.
    let len = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), into, len) };
    value.truncate(len.try_into().unwrap_or(0));
    value
}
