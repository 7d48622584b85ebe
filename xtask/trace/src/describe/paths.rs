//! Operations on files by their names.

use super::details::{Asked, Details};
use crate::codes::op;
use crate::context::{long, word};
use crate::flags;
use common::catalog::borrowed;
use common::text::plural;

/// The directory that a path is relative to; the working directory is not named.
pub(super) fn directory(asked: &Asked<'_>, details: &mut Details) {
    match asked.entry.fd {
        libc::AT_FDCWD => details.add("fd", libc::AT_FDCWD, ""),
        _ => super::files::file(asked, details),
    }
}

pub(super) fn path(asked: &Asked<'_>, details: &mut Details) {
    string(asked, "path", asked.entry.addr, details);
}

fn string(asked: &Asked<'_>, key: &'static str, address: u64, details: &mut Details) {
    if let Some(text) = asked.program.string(address) {
        let words = format!("{text:?}");
        details.add(key, text, words);
    }
}

/// The other name, and its directory.
pub(super) fn new_path(asked: &Asked<'_>, details: &mut Details) {
    let directory = asked.entry.len as i32;
    let within =
        if directory == libc::AT_FDCWD { String::new() } else { format!("fd {directory}, ") };
    details.add("new_fd", directory, "");
    if let Some(text) = asked.program.string(asked.entry.off) {
        let words = format!("to {within}{text:?}");
        details.add("new_path", text, words);
    }
}

/// The path of the link, and its target.
pub(super) fn symlink(asked: &Asked<'_>, details: &mut Details) {
    string(asked, "path", asked.entry.off, details);
    if let Some(text) = asked.program.string(asked.entry.addr) {
        let words = format!("to {text:?}");
        details.add("target", text, words);
    }
}

fn open_names(bits: u32) -> Vec<String> {
    let access = bits & libc::O_ACCMODE as u32;
    let mut names = vec![flags::code(flags::ACCESS, access)];
    names.extend(flags::bits(flags::OPEN, bits & !access));
    names
}

pub(super) fn open_flags(asked: &Asked<'_>, details: &mut Details) {
    let names = open_names(asked.entry.op_flags);
    let words = names.join("|");
    details.add("open_flags", names, words);
}

fn add_mode(mode: u64, details: &mut Details) {
    details.add("mode", format!("0{mode:o}"), format!("0{mode:o}"));
}

/// The permissions of a new file or directory.
pub(super) fn mode(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    if entry.opcode == op::MKDIRAT || makes_a_file(entry.op_flags) || entry.len != 0 {
        add_mode(entry.len.into(), details);
    }
}

fn makes_a_file(open_flags: u32) -> bool {
    let temporary = libc::O_TMPFILE as u32;
    open_flags & libc::O_CREAT as u32 != 0 || open_flags & temporary == temporary
}

/// `struct open_how` (`openat2(2)`).
pub(super) fn open_how(asked: &Asked<'_>, details: &mut Details) {
    let Some(how) = asked.program.bytes::<24>(asked.entry.off) else { return };
    let (open, mode, resolve) = (word(&how, 0), long(&how, 8), word(&how, 16));
    let names = open_names(open);
    let words = names.join("|");
    details.add("open_flags", names, words);
    if makes_a_file(open) || mode != 0 {
        add_mode(mode, details);
    }
    details.bits("resolve", &borrowed::RESOLVE_FLAGS, resolve);
}

pub(super) fn statx(asked: &Asked<'_>, details: &mut Details) {
    details.bits("at_flags", &borrowed::AT_FLAGS, asked.entry.op_flags);
    details.bits("statx_mask", flags::STATX, asked.entry.len);
}

pub(super) fn unlink_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("at_flags", &borrowed::AT_FLAGS, asked.entry.op_flags);
}

pub(super) fn link_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("at_flags", &borrowed::AT_FLAGS, asked.entry.op_flags);
}

pub(super) fn rename_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("rename_flags", &borrowed::RENAME_FLAGS, asked.entry.op_flags);
}

pub(super) fn xattr_path(asked: &Asked<'_>, details: &mut Details) {
    string(asked, "path", asked.entry.addr3, details);
}

/// The attribute's name.
pub(super) fn xattr(asked: &Asked<'_>, details: &mut Details) {
    string(asked, "name", asked.entry.addr, details);
}

pub(super) fn xattr_value(asked: &Asked<'_>, details: &mut Details) {
    let (address, length) = (asked.entry.off, u64::from(asked.entry.len));
    details.add("bytes", length, plural(length, "byte"));
    if let Some(text) = asked.program.preview(address, length) {
        details.add("data", text.clone(), text);
    }
}

pub(super) fn xattr_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("xattr_flags", &borrowed::XATTR_FLAGS, asked.entry.op_flags);
}
