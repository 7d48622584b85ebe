//! The operations that a network server seldom uses.

use common::catalog;

use super::{Details, bytes};
use crate::trace::decode::{Entry, op};
use crate::trace::names::hex;

pub(super) fn describe(entry: &Entry, details: &mut Details) {
    match entry.opcode {
        op::NOP => details.flags("nop_flags", &catalog::NOP_FLAGS, entry.op_flags, 0),
        op::FSYNC => details.flags("fsync_flags", &catalog::FSYNC_FLAGS, entry.op_flags, 0),
        op::FIXED_FD_INSTALL => {
            details.flags("install_flags", &catalog::INSTALL_FLAGS, entry.op_flags, 0);
        }
        op::PROVIDE_BUFFERS => {
            let (count, each, group) = (entry.fd, entry.len, entry.buf_index);
            details.add("count", count, format!("{count} buffers of {each} bytes"));
            details.add("bytes", each, "");
            details.add("buffer_group", group, format!("to group {group}"));
        }
        op::REMOVE_BUFFERS => {
            let (count, group) = (entry.fd, entry.buf_index);
            details.add("count", count, format!("{count} buffers"));
            details.add("buffer_group", group, format!("from group {group}"));
        }
        op::MSG_RING => {
            let command = catalog::MSG_RING_COMMANDS.name(entry.addr as u32);
            details.add("command", format!("{command:#}"), format!("{command:#}"));
            details.add("message", entry.len, format!("result {}", entry.len as i32));
            details.add("message_user_data", hex(entry.off), format!("user_data {:#x}", entry.off));
            details.flags("msg_ring_flags", &catalog::MSG_RING_FLAGS, entry.op_flags, 0);
        }
        op::SOCKET => {
            details.add("domain", entry.fd, format!("domain {}", entry.fd));
            details.add("type", entry.off, format!("type {}", entry.off));
        }
        op::URING_CMD | op::URING_CMD128 => {
            let command = entry.off as u32;
            details.add("command", command, format!("command {command:#x}"));
            details.flags("cmd_flags", &catalog::URING_CMD_FLAGS, entry.op_flags, 1 << 1);
        }
        op::SPLICE | op::TEE => {
            let from = entry.file_index as i32;
            details.add("from_fd", from, format!("from fd {from}"));
            bytes(entry, details);
        }
        op::LISTEN => details.add("backlog", entry.len, format!("backlog {}", entry.len)),
        op::FILES_UPDATE => {
            let (count, first) = (entry.len, entry.off);
            details.add("count", count, format!("{count} files"));
            details.add("offset", first, format!("from slot {first}"));
        }
        op::EPOLL_CTL => {
            details.add("operation", entry.len, format!("operation {}", entry.len));
            details.add("on_fd", entry.off as i32, format!("on fd {}", entry.off as i32));
        }
        op::FTRUNCATE => details.add("bytes", entry.off, format!("to {} bytes", entry.off)),
        op::FALLOCATE => details.add("bytes", entry.addr, format!("{} bytes", entry.addr)),
        op::NOP128 => {}
        code if catalog::OPERATIONS.get(u32::from(code)).is_none() => {
            details.add("off", hex(entry.off), format!("off {:#x}", entry.off));
            details.add("addr", hex(entry.addr), format!("addr {:#x}", entry.addr));
            details.add("len", entry.len, format!("len {}", entry.len));
        }
        _ => {}
    }
}
