//! What an entry asks, operation by operation: once for people, once for programs.
//!
//! [`arguments`] is the table: what each operation takes. Each family has a file with the functions
//! that it names; [`results`] says what the completions mean.

mod details;
mod files;
mod paths;
pub mod results;
mod rings;
mod sockets;
mod waits;

use super::codes::{op, sqe};
use super::context::Reader;
use super::decode::{Direct, Entry};

use details::Asked;
pub use details::Details;
pub(super) use rings::fds;
pub use sockets::option_name as socket_option;

/// Adds what one field, or a few that belong together, asks for.
type Argument = fn(&Asked<'_>, &mut Details);

/// What an entry asks for. `program` reads what it points at; `meaning` names what a
/// `user_data` in it stands for.
pub fn details(entry: &Entry, program: Reader, meaning: &dyn Fn(u64) -> String) -> Details {
    let asked = Asked { entry, program, meaning };
    let mut details = Details::default();
    for argument in arguments(entry.opcode).iter().chain(EVERYWHERE) {
        argument(&asked, &mut details);
    }
    let has_a_file =
        entry.takes() || entry.gives() || matches!(entry.opcode, op::SPLICE | op::FSYNC);
    if has_a_file && !entry.has(sqe::FIXED_FILE) {
        details.file = program.descriptor(entry.fd);
    }
    details
}

/// What each operation takes, in the order of the words.
#[rustfmt::skip]
fn arguments(opcode: u8) -> &'static [Argument] {
    use self::{files::*, paths::*, rings::*, sockets::*, waits::*};

    match opcode {
        op::NOP | op::NOP128         => &[nop],

        op::READ | op::WRITE         => &[file, bytes, offset, rw_flags, data],
        op::READ_FIXED
        | op::WRITE_FIXED            => &[file, bytes, registered_buffer, offset, rw_flags, data],
        op::READV | op::WRITEV       => &[file, vectors, offset, rw_flags, data],
        op::READV_FIXED
        | op::WRITEV_FIXED           => &[file, vectors, registered_buffer, offset, rw_flags, data],
        op::READ_MULTISHOT           => &[file, bytes, offset, rw_flags],
        op::FSYNC                    => &[file, range, sync_flags],
        op::SYNC_FILE_RANGE          => &[file, range, sync_range_flags],
        op::FALLOCATE                => &[file, range, mode_of_space],
        op::FTRUNCATE                => &[file, size],
        op::FADVISE                  => &[file, range, advice],
        op::MADVISE                  => &[memory_range, advice],
        op::SPLICE | op::TEE         => &[splice_ends, bytes, splice_flags],
        op::PIPE                     => &[pipe_flags],
        op::CLOSE                    => &[close_what],
        op::FIXED_FD_INSTALL         => &[file, install_flags],

        op::OPENAT                   => &[directory, path, open_flags, mode],
        op::OPENAT2                  => &[directory, path, open_how],
        op::STATX                    => &[directory, path, statx],
        op::UNLINKAT                 => &[directory, path, unlink_flags],
        op::MKDIRAT                  => &[directory, path, mode],
        op::RENAMEAT                 => &[directory, path, new_path, rename_flags],
        op::LINKAT                   => &[directory, path, new_path, link_flags],
        op::SYMLINKAT                => &[directory, symlink],
        op::SETXATTR                 => &[xattr_path, xattr, xattr_value, xattr_flags],
        op::GETXATTR                 => &[xattr_path, xattr, bytes],
        op::FSETXATTR                => &[file, xattr, xattr_value, xattr_flags],
        op::FGETXATTR                => &[file, xattr, bytes],

        op::SEND | op::SEND_ZC       => &[file, bytes, send_recv_flags, message_flags, to_address, data],
        op::RECV                     => &[file, bytes, send_recv_flags, message_flags],
        op::SENDMSG | op::SENDMSG_ZC
        | op::RECVMSG                => &[file, whole_message, send_recv_flags, message_flags, data],
        op::RECV_ZC                  => &[file, bytes, queue, send_recv_flags],
        op::ACCEPT                   => &[file, accept_flags],
        op::CONNECT | op::BIND       => &[file, address],
        op::LISTEN                   => &[file, backlog],
        op::SHUTDOWN                 => &[file, how],
        op::SOCKET                   => &[socket],
        op::URING_CMD
        | op::URING_CMD128           => &[file, command],
        op::EPOLL_CTL                => &[file, epoll_change],
        op::EPOLL_WAIT               => &[file, epoll_room],

        op::POLL_ADD                 => &[file, poll_events],
        op::POLL_REMOVE              => &[target, poll_change],
        op::TIMEOUT                  => &[time, count, timeout_flags],
        op::LINK_TIMEOUT             => &[time, timeout_flags],
        op::TIMEOUT_REMOVE           => &[target, new_time, timeout_flags],
        op::ASYNC_CANCEL             => &[cancel],
        op::WAITID                   => &[process],
        op::FUTEX_WAIT               => &[futex, while_it_is, mask],
        op::FUTEX_WAKE               => &[futex, wakes, mask],
        op::FUTEX_WAITV              => &[futexes],

        op::PROVIDE_BUFFERS          => &[buffers],
        op::REMOVE_BUFFERS           => &[buffers_back],
        op::FILES_UPDATE             => &[files_update],
        op::MSG_RING                 => &[file, message],
        _                            => &[file, raw],
    }
}

/// What any operation may carry.
const EVERYWHERE: &[Argument] = &[multishot, into_slot, buffer_group, personality];

fn multishot(asked: &Asked<'_>, details: &mut Details) {
    if asked.entry.multishot() {
        details.add("multishot", true, "multishot");
    }
}

fn into_slot(asked: &Asked<'_>, details: &mut Details) {
    match asked.entry.direct() {
        Direct::No => {}
        Direct::Any => details.add("into_slot", "any", "into any free slot"),
        Direct::Slot(slot) => details.add("into_slot", slot, format!("into slot {slot}")),
    }
}

fn buffer_group(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    if entry.has(sqe::BUFFER_SELECT) {
        let group = entry.buf_index;
        let way = if entry.gives() { "from" } else { "into" };
        let what = if entry.bundles() { "buffers" } else { "a buffer" };
        details.add("buffer_group", group, format!("{way} {what} of group {group}"));
    }
}

fn personality(asked: &Asked<'_>, details: &mut Details) {
    let id = asked.entry.personality;
    if id != 0 {
        details.add("personality", id, format!("as personality {id}"));
    }
}

#[cfg(test)]
mod tests;
