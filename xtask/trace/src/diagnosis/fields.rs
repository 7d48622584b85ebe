//! What an entry asks for: pairs that exclude each other behind an `EINVAL`, fields left over
//! from the entry before, lengths of 0.

use std::collections::{HashMap, HashSet};

use common::text::several;
use libc::pid_t;

use super::{Fact, Found, Kind, Request, Rules, Scene};
use crate::codes::{call, op, setup, sqe};
use crate::context::{Reader, long};
use crate::decode::{Completion, Direct, Entry};
use crate::names::{error_name, operation};
use crate::ring_descriptors::RingId;

const EXCLUDES: Kind = Kind::new("refused-arguments", "day1.html#what-an-entry-points-at");
const NO_CLOEXEC: Kind = Kind::new("refused-arguments", "day2.html#files-that-are-no-descriptors");
const RECEIVES: Kind =
    Kind::new("refused-arguments", "day4-echo.html#receiving-without-owning-a-buffer");
const LEFT_IN_PLACE: Kind =
    Kind::new("left-over-fields", "journal-corrected.html#16-user_data-that-nobody-set");
const NO_SLOT: Kind = Kind::new("bad-file", "day2.html#files-that-are-no-descriptors");
const NOT_A_SLOT: Kind =
    Kind::concluded("slot-taken-for-a-descriptor", "when-it-goes-wrong.html#pitfall-11");
const NOTHING_ASKED: Kind = Kind::new("length-zero", "day1.html#what-an-entry-points-at");

/// A table of registered files.
#[derive(Debug)]
struct Table {
    count: u64,
    used: bool,
    /// An entry that names a descriptor with the number of a slot.
    instead: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Files that bytes came from.
    gave: HashSet<(pid_t, Option<i32>, Option<u32>)>,
    tables: HashMap<RingId, Table>,
}

impl Rules for Fields {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        self.table(fact, scene, found);
        let Fact::Completed { request: Some(request), completion, .. } = *fact else { return };
        if request.answers != 1 {
            return;
        }
        match completion.error() {
            None => {
                // A loop of reads asks for nothing, once, when its buffer is full.
                let file = (request.owner, request.fd(), request.slot());
                if completion.res > 0 {
                    self.gave.insert(file);
                } else if !self.gave.contains(&file) {
                    asked_for_nothing(request, completion, scene, found);
                }
            }
            Some(error) => {
                let error_is = |one: i32| error == one;
                if let Some(seen) = left_in_place(request, error) {
                    found.say(
                        scene,
                        LEFT_IN_PLACE,
                        seen,
                        "An entry's place in the queue is used again and again. Zero all of it \
                         before it is filled in: what an operation does not use must be 0.",
                    );
                } else if error_is(libc::EBADF) {
                    bad_file(request, scene, found);
                } else if error_is(libc::EINVAL) || error_is(libc::EOPNOTSUPP) {
                    if let Some((kind, what, means)) = excluded(request, error, scene) {
                        let seen = format!("{} {what}: {}", request.name(), error_name(error));
                        found.say(scene, kind, seen, means);
                    }
                }
            }
        }
    }
}

impl Fields {
    /// Watches for a table of files that no entry uses.
    fn table(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Registered { operation: call::REGISTER_FILES, count, result: 0.., .. } => {
                self.tables.insert(scene.ring, Table { count, used: false, instead: None });
            }
            Fact::Submitted(request) => {
                let Some(table) = self.tables.get_mut(&scene.ring) else { return };
                let slot = request.slot().is_some() || request.entry.direct() != Direct::No;
                table.used |= slot || request.entry.opcode == op::CLOSE;
                let number = request.fd().filter(|fd| (*fd as u64) < table.count);
                if number.is_some() && table.instead.is_none() {
                    table.instead = Some(request.name());
                }
            }
            Fact::Closing { .. } => {
                let Some(table) = self.tables.remove(&scene.ring) else { return };
                if let Some(name) = table.instead.filter(|_| !table.used) {
                    let seen = format!(
                        "a table of {} was registered and no entry uses it; {name} names a \
                         descriptor of that number",
                        several(table.count as usize, "file")
                    );
                    found.say(
                        scene,
                        NOT_A_SLOT,
                        seen,
                        "Without IOSQE_FIXED_FILE a number is a descriptor, not a slot: 0 is standard \
                         input. In the crate: types::Fixed.",
                    );
                }
            }
            _ => {}
        }
    }
}

fn asked_for_nothing(
    request: &Request,
    completion: &Completion,
    scene: &Scene<'_>,
    found: &mut Found,
) {
    let entry = &request.entry;
    let moves =
        [op::READ, op::READ_FIXED, op::RECV, op::WRITE, op::WRITE_FIXED].contains(&entry.opcode);
    if moves && completion.res == 0 && entry.len == 0 && !entry.has(sqe::BUFFER_SELECT) {
        let end = if entry.takes() { ": that is not the end of the file" } else { "" };
        found.say(
            scene,
            NOTHING_ASKED,
            format!("{} asked for 0 bytes and got 0{end}", request.name()),
            "An entry's length has 32 bits: 4 GiB made a u32 is 0. One operation moves 0x7ffff000 \
             bytes at most; cut longer ones.",
        );
    }
}

/// All flags of `preadv2(2)` and `pwritev2(2)` up to Linux 6.18.
const RWF: u32 = 0x1ff;

/// A field that the operation does not use, with the value that the entry before it in the same
/// place had there; or flags of reads and writes that do not exist.
fn left_in_place(request: &Request, error: i32) -> Option<String> {
    let entry = &request.entry;
    let before = request.before.as_ref();
    let who = |what: String, same: &dyn Fn(&Entry) -> bool| {
        let before = before.filter(|(_, before)| same(before));
        let left = before.map_or_else(String::new, |(seq, before)| {
            format!(
                "; entry {seq} ({}), before it in the same place, had the same value",
                operation(before.opcode)
            )
        });
        format!("{} carries {what}{left}: {}", request.name(), error_name(error))
    };
    let moves = (entry.takes() || entry.gives())
        && matches!(
            entry.opcode,
            op::READ | op::WRITE | op::READV | op::WRITEV | op::READ_FIXED | op::WRITE_FIXED
        );
    if moves && entry.op_flags & !RWF != 0 && [libc::EINVAL, libc::EOPNOTSUPP].contains(&error) {
        let what = format!("rw_flags {:#x}, which are no RWF_ flags", entry.op_flags);
        return Some(who(what, &|before| before.op_flags == entry.op_flags));
    }
    if error != libc::EINVAL {
        return None;
    }
    let (_, before) = before?;
    let unused = unused(entry);
    let fields: [(&str, u64, u64); 7] = [
        ("len", entry.len.into(), before.len.into()),
        ("flags of its own", entry.op_flags.into(), before.op_flags.into()),
        ("off", entry.off, before.off),
        ("addr", entry.addr, before.addr),
        ("buf_index", entry.buf_index.into(), before.buf_index.into()),
        ("file_index", entry.file_index.into(), before.file_index.into()),
        ("personality", entry.personality.into(), before.personality.into()),
    ];
    let (name, value, _) = fields
        .into_iter()
        .find(|(name, value, before)| *value != 0 && value == before && unused.contains(name))?;
    let value = if value > 9 { format!("{value:#x}") } else { value.to_string() };
    Some(who(format!("{name} {value}, which it does not use"), &|_| true))
}

/// The fields that have to be 0 in an operation.
fn unused(entry: &Entry) -> &'static [&'static str] {
    match entry.opcode {
        op::ACCEPT => &["len", "buf_index"],
        op::CONNECT => &["len", "flags of its own", "buf_index", "file_index"],
        op::CLOSE => &["len", "flags of its own", "off", "addr", "buf_index"],
        op::SHUTDOWN => &["off", "addr", "flags of its own", "buf_index", "file_index"],
        op::RECV | op::RECVMSG => &["off", "file_index"],
        op::POLL_ADD => &["off", "addr", "buf_index"],
        op::FSYNC => &["addr", "buf_index", "file_index"],
        op::TIMEOUT | op::LINK_TIMEOUT => &["buf_index", "file_index"],
        op::SOCKET => &["addr", "flags of its own", "buf_index"],
        op::ASYNC_CANCEL => &["off", "file_index"],
        op::OPENAT | op::OPENAT2 => &["buf_index"],
        _ => &[],
    }
}

/// Arguments that the kernel does not accept together.
fn excluded(
    request: &Request,
    error: i32,
    scene: &Scene<'_>,
) -> Option<(Kind, String, &'static str)> {
    let entry = &request.entry;
    let program = scene.program();
    let say = |kind, what: &str, means| Some((kind, what.to_string(), means));
    let cloexec = match entry.opcode {
        op::ACCEPT | op::OPENAT | op::PIPE => entry.op_flags & libc::O_CLOEXEC as u32 != 0,
        op::SOCKET => entry.off & libc::SOCK_CLOEXEC as u64 != 0,
        op::OPENAT2 => {
            let how = program.bytes::<8>(entry.off).map_or(0, |how| long(&how, 0));
            how & libc::O_CLOEXEC as u64 != 0
        }
        _ => false,
    };
    if cloexec && entry.direct() != Direct::No {
        return say(
            NO_CLOEXEC,
            "asks for a slot and for close-on-exec (SOCK_CLOEXEC, O_CLOEXEC)",
            "A slot is no descriptor, and no exec inherits it: it has no such flag. Leave the flag \
             out.",
        );
    }
    let multishot = entry.multishot();
    let buffers = entry.has(sqe::BUFFER_SELECT);
    const WAITALL: u32 = libc::MSG_WAITALL as u32;
    const BUNDLE: u16 = 1 << 4;
    match entry.opcode {
        op::ACCEPT if multishot && matches!(entry.direct(), Direct::Slot(_)) => say(
            NO_CLOEXEC,
            "is a multishot and names one slot",
            "Each client needs a slot of its own: let the kernel pick (IORING_FILE_INDEX_ALLOC).",
        ),
        op::RECV | op::RECVMSG | op::READ_MULTISHOT if multishot && !buffers => say(
            RECEIVES,
            "is a multishot without a buffer group",
            "A multishot receives into provided buffers only: IOSQE_BUFFER_SELECT and a group.",
        ),
        op::RECV | op::RECVMSG if multishot && entry.op_flags & WAITALL != 0 => say(
            RECEIVES,
            "is a multishot with MSG_WAITALL",
            "A multishot reports each time that bytes have come. Leave the flag out.",
        ),
        op::SENDMSG | op::RECVMSG if entry.ioprio & BUNDLE != 0 => {
            say(RECEIVES, "asks for a bundle", "Bundles are for SEND and RECV only.")
        }
        op::SEND_ZC | op::SENDMSG_ZC if entry.has(sqe::CQE_SKIP_SUCCESS) => say(
            EXCLUDES,
            "has IOSQE_CQE_SKIP_SUCCESS",
            "Without its notification the program cannot know when the memory of a zero-copy send is free.",
        ),
        op::FSYNC if entry.op_flags & !1 != 0 => say(
            EXCLUDES,
            "has flags that FSYNC does not know",
            "It takes IORING_FSYNC_DATASYNC and nothing else; O_DSYNC is a flag of open.",
        ),
        op::LINK_TIMEOUT if request.behind.is_none() => say(
            EXCLUDES,
            "is linked behind nothing",
            "A LINK_TIMEOUT limits the entry before it, which has to carry IOSQE_IO_LINK and go in \
             with the same submit.",
        ),
        op::TIMEOUT | op::LINK_TIMEOUT if entry.len != 1 => say(
            EXCLUDES,
            "names a number of timespecs that is not 1",
            "The length of a timeout is 1; how many completions it waits for is its offset.",
        ),
        op::TIMEOUT | op::LINK_TIMEOUT if program.time(entry.addr).is_some_and(|it| it.0 < 0) => {
            say(
                EXCLUDES,
                "waits for less than no time",
                "The timespec may have been gone when it was read.",
            )
        }
        op::CLOSE if entry.file_index != 0 && entry.fd != 0 => say(
            NO_SLOT,
            "names a descriptor and a slot",
            "A close ends one of them. For a slot the descriptor is 0.",
        ),
        opcode if operation(opcode).starts_with("operation ") => say(
            EXCLUDES,
            "is an operation that this kernel does not have",
            "Ask for it with IORING_REGISTER_PROBE before it is used.",
        ),
        _ if buffers && error == libc::EOPNOTSUPP => say(
            RECEIVES,
            "asks for a provided buffer",
            "This operation does not take its memory from a buffer group.",
        ),
        _ if entry.takes() || entry.gives() => moved(request, error, scene, program),
        _ => None,
    }
}

/// Rules of the file that bytes come from or go to.
fn moved(
    request: &Request,
    error: i32,
    scene: &Scene<'_>,
    program: Reader,
) -> Option<(Kind, String, &'static str)> {
    const SECTOR: u64 = 512;
    let entry = &request.entry;
    let fd = request.fd()?;
    let direct = open_flags(scene.owner, fd)? & libc::O_DIRECT as u32 != 0;
    let file = program.descriptor(fd).unwrap_or_default();
    if scene.has(setup::IOPOLL) && !direct && error == libc::EOPNOTSUPP {
        return Some((
            EXCLUDES,
            "is on a ring with IOPOLL, and its file was opened without O_DIRECT".to_string(),
            "A device can only be polled past the page cache: open with O_DIRECT, or leave IOPOLL out.",
        ));
    }
    let odd = |value: u64| value % SECTOR != 0;
    let at = if entry.off == u64::MAX { 0 } else { entry.off };
    if direct && request.buffer().is_some() && (odd(entry.addr) || odd(entry.len.into()) || odd(at))
    {
        let what = format!(
            "moves {} bytes between {:#x} and offset {at} of a file with O_DIRECT",
            entry.len, entry.addr
        );
        return Some((
            EXCLUDES,
            what,
            "O_DIRECT needs memory, offset and length in whole blocks of the device, mostly 512 or \
             4096 bytes.",
        ));
    }
    if file.contains("[eventfd]") && entry.len < 8 {
        return Some((
            EXCLUDES,
            format!("moves {} bytes of an eventfd", entry.len),
            "An eventfd is a number of 8 bytes: no less is read or written.",
        ));
    }
    None
}

/// The flags that a descriptor was opened with.
pub(super) fn open_flags(pid: libc::pid_t, fd: i32) -> Option<u32> {
    let about = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    let flags = about.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok()
}

fn bad_file(request: &Request, scene: &Scene<'_>, found: &mut Found) {
    let entry = &request.entry;
    if entry.opcode == op::CLOSE && entry.has(sqe::FIXED_FILE) {
        found.say(
            scene,
            NO_SLOT,
            format!("{} has IOSQE_FIXED_FILE: EBADF", request.name()),
            "A slot is closed by its number plus one in file_index, without that flag.",
        );
    } else if let Some(slot) = request.slot().filter(|_| !only_asks(entry)) {
        found.say(
            scene,
            NO_SLOT,
            format!(
                "{} was answered with EBADF: slot {slot} is empty, or not in the table",
                request.name()
            ),
            "Register the table first, and use a slot only between the completion that filled it \
             and its close. A descriptor goes without IOSQE_FIXED_FILE.",
        );
    }
}

/// Whether EBADF is a good answer: to a receive that takes nothing and does not wait, which tests
/// whether the file is a socket, and to a close, which may be there to be sure.
fn only_asks(entry: &Entry) -> bool {
    const ASKS: u32 = (libc::MSG_PEEK | libc::MSG_DONTWAIT) as u32;
    entry.opcode == op::CLOSE || entry.opcode == op::RECV && entry.op_flags & ASKS == ASKS
}
