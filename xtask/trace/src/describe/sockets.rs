//! Sockets and epoll.

use common::catalog::{self, borrowed};
use common::text::plural;

use super::details::{Asked, Details};
use super::files::in_buffers;
use crate::codes::{op, sqe};
use crate::context::{Reader, long, word};
use crate::flags::{self, Names};
use crate::names::hex;

/// `IORING_RECV_MULTISHOT`: shown as its own word.
const MULTISHOT: u32 = 1 << 1;
/// `IORING_RECVSEND_FIXED_BUF`.
const FIXED_BUFFER: u32 = 1 << 2;

pub(super) fn send_recv_flags(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let bits = u32::from(entry.ioprio);
    if bits & FIXED_BUFFER != 0 {
        super::files::registered_buffer(asked, details);
    }
    let rest = bits & !MULTISHOT & !FIXED_BUFFER;
    details.flags("send_recv_flags", &catalog::SEND_RECV_FLAGS, rest);
    // `sqe->optlen`: since Linux 6.17 a multishot can have an end.
    let total = entry.file_index;
    if entry.opcode == op::RECV && entry.multishot() && total != 0 {
        details.add("total_bytes", total, format!("{} in all", plural(total, "byte")));
    }
}

pub(super) fn message_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("msg_flags", flags::MSG, asked.entry.op_flags);
}

/// The receiver, as `sendto(2)` has it.
pub(super) fn to_address(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    // `sqe->addr_len`, half as wide as the index that it shares its place with.
    let length = u64::from(entry.file_index as u16);
    if entry.off != 0 {
        if let Some(address) = asked.program.socket_address(entry.off, length) {
            details.add("address", address.clone(), format!("to {address}"));
        }
    }
}

/// `struct msghdr` (`sendmsg(2)`).
pub(super) fn whole_message(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let Some(header) = asked.program.bytes::<56>(entry.addr) else { return };
    let (name, name_length) = (long(&header, 0), word(&header, 8));
    if entry.has(sqe::BUFFER_SELECT) {
        details.add("buffers", long(&header, 24), "");
    } else {
        in_buffers(asked, long(&header, 16), long(&header, 24), details);
    }
    if name != 0 && entry.takes() {
        let words = format!("with the sender's address in {}", plural(name_length, "byte"));
        details.add("address_bytes", name_length, words);
    } else if name != 0 {
        if let Some(address) = asked.program.socket_address(name, name_length.into()) {
            details.add("address", address.clone(), format!("to {address}"));
        }
    }
    let control = long(&header, 40);
    if control != 0 {
        let words = format!("{} of control data", plural(control, "byte"));
        details.add("control_bytes", control, words);
    }
}

/// The receive queue of a network card (`sqe->zcrx_ifq_idx`).
pub(super) fn queue(asked: &Asked<'_>, details: &mut Details) {
    let queue = asked.entry.file_index;
    details.add("zcrx_queue", queue, format!("from zero-copy queue {queue}"));
}

pub(super) fn accept_flags(asked: &Asked<'_>, details: &mut Details) {
    /// `IORING_ACCEPT_MULTISHOT`: shown as its own word.
    const MULTISHOT: u32 = 1 << 0;
    let entry = asked.entry;
    details.bits("socket_flags", &borrowed::SOCKET_FLAGS, entry.op_flags);
    let rest = u32::from(entry.ioprio) & !MULTISHOT;
    details.flags("accept_flags", &catalog::ACCEPT_FLAGS, rest);
}

pub(super) fn address(asked: &Asked<'_>, details: &mut Details) {
    if let Some(address) = asked.program.socket_address(asked.entry.addr, asked.entry.off) {
        details.add("address", address.clone(), address);
    }
}

pub(super) fn backlog(asked: &Asked<'_>, details: &mut Details) {
    let backlog = asked.entry.len as i32;
    details.add("backlog", backlog, format!("backlog {backlog}"));
}

pub(super) fn how(asked: &Asked<'_>, details: &mut Details) {
    let how = match asked.entry.len {
        0 => "reading",
        1 => "writing",
        2 => "both ways",
        _ => "?",
    };
    details.add("how", how, how);
}

pub(super) fn socket(asked: &Asked<'_>, details: &mut Details) {
    const TYPE: u32 = 0xf;
    let entry = asked.entry;
    let family = flags::code(flags::FAMILIES, entry.fd as u32);
    details.add("domain", entry.fd, "");
    details.add("family", family.clone(), family);
    let kind = entry.off as u32;
    let mut names = vec![flags::code(&borrowed::SOCKET_TYPES, kind & TYPE)];
    names.extend(flags::bits(&borrowed::SOCKET_FLAGS, kind & !TYPE));
    let words = names.join("|");
    details.add("type", entry.off, "");
    details.add("type_names", names, words);
    let internet = [libc::AF_INET, libc::AF_INET6].contains(&entry.fd);
    let words = match entry.len {
        0 => String::new(),
        protocol if internet => flags::code(flags::PROTOCOLS, protocol),
        protocol => format!("protocol {protocol}"),
    };
    details.add("protocol", entry.len, words);
}

/// What `IORING_OP_URING_CMD` asks of a driver, by its name where the catalogue has it.
pub(super) fn command(asked: &Asked<'_>, details: &mut Details) {
    /// `IORING_URING_CMD_MULTISHOT`: shown as its own word.
    const MULTISHOT: u32 = 1 << 1;
    let entry = asked.entry;
    let command = entry.off as u32;
    // Some drivers count from 0, as sockets do. What is in a slot cannot be looked up.
    let in_slot = entry.has(sqe::FIXED_FILE);
    let file = if in_slot { None } else { asked.program.descriptor(entry.fd) };
    let of_socket = file.as_ref().is_none_or(|file| file.starts_with("socket:"));
    let table = match &file {
        _ if of_socket => &catalog::SOCKET_COMMANDS,
        Some(file) if file.starts_with("/dev/fuse") => &borrowed::FUSE_COMMANDS,
        _ => &borrowed::DEVICE_COMMANDS,
    };
    match table.get(command).or_else(|| borrowed::DEVICE_COMMANDS.get(command)) {
        Some(known) => {
            details.add("command", command, "");
            details.add("command_name", known.short, known.short);
            if of_socket {
                socket_option(asked, command, details);
            }
        }
        None => details.add("command", command, format!("command {command:#x}")),
    }
    details.flags("cmd_flags", &catalog::URING_CMD_FLAGS, entry.op_flags & !MULTISHOT);
}

fn socket_option(asked: &Asked<'_>, command: u32, details: &mut Details) {
    const GET: u32 = 2;
    const SET: u32 = 3;
    if ![GET, SET].contains(&command) {
        return;
    }
    let entry = asked.entry;
    let (level, option) = (entry.addr as u32, (entry.addr >> 32) as u32);
    let (level, option) = (flags::code(flags::LEVELS, level), option_name(level, option));
    details.add("level", level.clone(), level);
    details.add("option", option.clone(), option);
    let length = entry.file_index;
    let value = asked.program.bytes(entry.addr3).map(i32::from_ne_bytes);
    match value.filter(|_| command == SET && length == 4) {
        Some(value) => details.add("option_value", value, value.to_string()),
        None => details.add("option_bytes", length, plural(length, "byte")),
    }
}

/// The name of a socket option.
pub fn option_name(level: u32, option: u32) -> String {
    let options: Names = match level as i32 {
        libc::SOL_SOCKET => flags::SOCKET_OPTIONS,
        libc::IPPROTO_TCP => flags::TCP_OPTIONS,
        _ => &[],
    };
    flags::code(options, option)
}

/// `epoll_ctl(2)`.
pub(super) fn epoll_change(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let change = flags::code(&borrowed::EPOLL_CTL_COMMANDS, entry.len);
    let fd = entry.off as i32;
    details.add("operation", entry.len, "");
    details.add("operation_name", change.clone(), format!("{change} fd {fd}"));
    details.add("on_fd", fd, "");
    if entry.len as i32 == libc::EPOLL_CTL_DEL {
        return;
    }
    if let Some((events, data)) = epoll_event(asked.program, entry.addr) {
        details.bits("events", flags::EPOLL, events);
        details.add("event_data", hex(data), format!("data {data:#x}"));
    }
}

/// Reads a `struct epoll_event`, which only x86-64 packs: its events and its data.
pub(super) fn epoll_event(program: Reader, address: u64) -> Option<(u32, u64)> {
    const SIZE: usize = size_of::<libc::epoll_event>();
    let bytes: [u8; SIZE] = program.bytes(address)?;
    Some((word(&bytes, 0), long(&bytes, SIZE - 8)))
}

pub(super) fn epoll_room(asked: &Asked<'_>, details: &mut Details) {
    let most = asked.entry.len;
    details.add("max_events", most, format!("up to {}", plural(most, "event")));
}
