//! What io_uring borrows from other system calls: flags and codes in its entries that other headers
//! define.
//!
//! Values are those of the `libc` crate, some of which differ between architectures, and those of
//! the kernel's headers where the crate lacks a name. `since` is the release that brought the name,
//! for the system call if that had it first, as the man page of each call says. A test compares
//! the tables with the installed headers.

use super::Table;
use super::table::table;

const RW: &str = "sqe->rw_flags";
const SYNC_RANGE: &str = "sqe->sync_range_flags";
const LEN: &str = "sqe->len";
const RENAME: &str = "sqe->rename_flags";
const STATX: &str = "sqe->statx_flags";
const UNLINK: &str = "sqe->unlink_flags";
const HARDLINK: &str = "sqe->hardlink_flags";
const HOW: &str = "open_how.resolve";
const SPLICE: &str = "sqe->splice_flags";
const ADVICE: &str = "sqe->fadvise_advice";
const XATTR: &str = "sqe->xattr_flags";
const FD: &str = "sqe->fd";
const OPTIONS: &str = "sqe->file_index";
const OFF: &str = "sqe->off";
const CMD_OP: &str = "sqe->cmd_op";

/// Every table of this module.
pub static BORROWED: [&Table; 19] = [
    &RW_FLAGS,
    &SYNC_RANGE_FLAGS,
    &FALLOCATE_MODES,
    &RENAME_FLAGS,
    &AT_FLAGS,
    &RESOLVE_FLAGS,
    &SPLICE_FLAGS,
    &FILE_ADVICE,
    &MEMORY_ADVICE,
    &XATTR_FLAGS,
    &EPOLL_CTL_COMMANDS,
    &WAIT_TARGETS,
    &WAIT_FLAGS,
    &FUTEX_SIZES,
    &FUTEX_FLAGS,
    &SOCKET_TYPES,
    &SOCKET_FLAGS,
    &DEVICE_COMMANDS,
    &FUSE_COMMANDS,
];

table! {
    /// The flags of a single read or write: `preadv2(2)`, `pwritev2(2)`.
    RW_FLAGS: Flags, "read or write flag", "RWF_";
    RWF_HIPRI     = libc::RWF_HIPRI as u32,     "4.6",  RW, "poll for the completion; a ring with IOPOLL does anyway";
    RWF_DSYNC     = libc::RWF_DSYNC as u32,     "4.7",  RW, "flush the data before it completes";
    RWF_SYNC      = libc::RWF_SYNC as u32,      "4.7",  RW, "flush data and metadata before it completes";
    RWF_NOWAIT    = libc::RWF_NOWAIT as u32,    "4.14", RW, "EAGAIN if it would have to wait";
    RWF_APPEND    = libc::RWF_APPEND as u32,    "4.16", RW, "write at the end, wherever the offset is";
    RWF_NOAPPEND  = libc::RWF_NOAPPEND as u32,  "6.9",  RW, "write at the offset, even to a file with O_APPEND";
    RWF_ATOMIC    = libc::RWF_ATOMIC as u32,    "6.11", RW, "write all of it or nothing, even if the power fails";
    RWF_DONTCACHE = libc::RWF_DONTCACHE as u32, "6.14", RW, "drop what was read or written from the page cache";
    RWF_NOSIGNAL  = 0x100,                      "6.18", RW, "no SIGPIPE if nobody reads the pipe";
}

table! {
    /// The flags of `sync_file_range(2)`.
    SYNC_RANGE_FLAGS: Flags, "range flag", "SYNC_FILE_RANGE_";
    SYNC_FILE_RANGE_WAIT_BEFORE = libc::SYNC_FILE_RANGE_WAIT_BEFORE, "2.6", SYNC_RANGE, "wait first for the writing that is under way";
    SYNC_FILE_RANGE_WRITE       = libc::SYNC_FILE_RANGE_WRITE,       "2.6", SYNC_RANGE, "begin to write the dirty pages out";
    SYNC_FILE_RANGE_WAIT_AFTER  = libc::SYNC_FILE_RANGE_WAIT_AFTER,  "2.6", SYNC_RANGE, "wait until they are written";
}

table! {
    /// The modes of `fallocate(2)`.
    FALLOCATE_MODES: Flags, "fallocate mode", "FALLOC_FL_";
    FALLOC_FL_KEEP_SIZE      = libc::FALLOC_FL_KEEP_SIZE as u32,      "2.6",  LEN, "the file's size stays as it is";
    FALLOC_FL_PUNCH_HOLE     = libc::FALLOC_FL_PUNCH_HOLE as u32,     "2.6",  LEN, "give the range's space back; it reads as zeros";
    FALLOC_FL_COLLAPSE_RANGE = libc::FALLOC_FL_COLLAPSE_RANGE as u32, "3.15", LEN, "remove the range; what follows closes the gap";
    FALLOC_FL_ZERO_RANGE     = libc::FALLOC_FL_ZERO_RANGE as u32,     "3.15", LEN, "make the range read as zeros, with its space";
    FALLOC_FL_INSERT_RANGE   = libc::FALLOC_FL_INSERT_RANGE as u32,   "4.1",  LEN, "insert a hole; what follows moves behind it";
    FALLOC_FL_UNSHARE_RANGE  = libc::FALLOC_FL_UNSHARE_RANGE as u32,  "4.9",  LEN, "give the range space that no other file shares";
    FALLOC_FL_WRITE_ZEROES   = 0x80,                                  "6.17", LEN, "write zeros, so that later writes find the space";
}

table! {
    /// The flags of `renameat2(2)`.
    RENAME_FLAGS: Flags, "rename flag", "RENAME_";
    RENAME_NOREPLACE = libc::RENAME_NOREPLACE, "3.15", RENAME, "EEXIST if the new name is taken";
    RENAME_EXCHANGE  = libc::RENAME_EXCHANGE,  "3.15", RENAME, "exchange the names of the two files";
    RENAME_WHITEOUT  = libc::RENAME_WHITEOUT,  "3.18", RENAME, "leave a whiteout, for overlays, at the old name";
}

table! {
    /// The flags of the calls that take a directory and a path: `statx(2)`, `unlinkat(2)`,
    /// `linkat(2)`.
    AT_FLAGS: Flags, "path flag", "AT_";
    AT_SYMLINK_NOFOLLOW = libc::AT_SYMLINK_NOFOLLOW as u32, "2.6",  STATX,    "a symbolic link means itself";
    AT_REMOVEDIR        = libc::AT_REMOVEDIR as u32,        "2.6",  UNLINK,   "remove a directory, not a file";
    AT_SYMLINK_FOLLOW   = libc::AT_SYMLINK_FOLLOW as u32,   "2.6",  HARDLINK, "a symbolic link means the file that it names";
    AT_NO_AUTOMOUNT     = libc::AT_NO_AUTOMOUNT as u32,     "2.6",  STATX,    "mount nothing on the way";
    AT_EMPTY_PATH       = libc::AT_EMPTY_PATH as u32,       "2.6",  STATX,    "an empty path means the descriptor itself";
    AT_STATX_FORCE_SYNC = libc::AT_STATX_FORCE_SYNC as u32, "4.11", STATX,    "ask the file's server again";
    AT_STATX_DONT_SYNC  = libc::AT_STATX_DONT_SYNC as u32,  "4.11", STATX,    "take what is known here already";
}

table! {
    /// How a path may resolve: `openat2(2)`.
    RESOLVE_FLAGS: Flags, "resolve flag", "RESOLVE_";
    RESOLVE_NO_XDEV       = libc::RESOLVE_NO_XDEV as u32,       "5.6",  HOW, "stay on one mount";
    RESOLVE_NO_MAGICLINKS = libc::RESOLVE_NO_MAGICLINKS as u32, "5.6",  HOW, "follow no link such as /proc/self/fd/0";
    RESOLVE_NO_SYMLINKS   = libc::RESOLVE_NO_SYMLINKS as u32,   "5.6",  HOW, "follow no symbolic link";
    RESOLVE_BENEATH       = libc::RESOLVE_BENEATH as u32,       "5.6",  HOW, "refuse what leads out of the directory";
    RESOLVE_IN_ROOT       = libc::RESOLVE_IN_ROOT as u32,       "5.6",  HOW, "treat the directory as the root of all paths";
    RESOLVE_CACHED        = libc::RESOLVE_CACHED as u32,        "5.12", HOW, "EAGAIN unless the whole path is in the cache";
}

table! {
    /// The flags of `splice(2)` and `tee(2)`; `SPLICE_F_FD_IN_FIXED` is io_uring's own.
    SPLICE_FLAGS: Flags, "splice flag", "SPLICE_F_";
    SPLICE_F_MOVE     = libc::SPLICE_F_MOVE,     "2.6", SPLICE, "move pages instead of copying them; has no effect";
    SPLICE_F_NONBLOCK = libc::SPLICE_F_NONBLOCK, "2.6", SPLICE, "EAGAIN if it would have to wait for the pipe";
    SPLICE_F_MORE     = libc::SPLICE_F_MORE,     "2.6", SPLICE, "more will come: a socket may wait for it";
    SPLICE_F_GIFT     = libc::SPLICE_F_GIFT,     "2.6", SPLICE, "for vmsplice(2): the kernel may keep the pages";
}

table! {
    /// How a program will use a file: `posix_fadvise(2)`.
    FILE_ADVICE: Codes, "file advice", "POSIX_FADV_";
    POSIX_FADV_NORMAL     = libc::POSIX_FADV_NORMAL as u32,     "2.5", ADVICE, "nothing in particular";
    POSIX_FADV_RANDOM     = libc::POSIX_FADV_RANDOM as u32,     "2.5", ADVICE, "reads here and there: read nothing ahead";
    POSIX_FADV_SEQUENTIAL = libc::POSIX_FADV_SEQUENTIAL as u32, "2.5", ADVICE, "reads from front to back: read more ahead";
    POSIX_FADV_WILLNEED   = libc::POSIX_FADV_WILLNEED as u32,   "2.5", ADVICE, "reads soon: fetch it into the page cache";
    POSIX_FADV_DONTNEED   = libc::POSIX_FADV_DONTNEED as u32,   "2.5", ADVICE, "no more reads: drop it from the page cache";
    POSIX_FADV_NOREUSE    = libc::POSIX_FADV_NOREUSE as u32,    "2.5", ADVICE, "one read, and then no more";
}

table! {
    /// How a program will use memory: `madvise(2)`.
    MEMORY_ADVICE: Codes, "memory advice", "MADV_";
    MADV_NORMAL          = libc::MADV_NORMAL as u32,          "2.4",  ADVICE, "nothing in particular";
    MADV_RANDOM          = libc::MADV_RANDOM as u32,          "2.4",  ADVICE, "use here and there: read nothing ahead";
    MADV_SEQUENTIAL      = libc::MADV_SEQUENTIAL as u32,      "2.4",  ADVICE, "use from front to back: read more ahead";
    MADV_WILLNEED        = libc::MADV_WILLNEED as u32,        "2.4",  ADVICE, "use soon: fetch the pages";
    MADV_DONTNEED        = libc::MADV_DONTNEED as u32,        "2.4",  ADVICE, "drop the pages; private memory reads as zeros";
    MADV_FREE            = libc::MADV_FREE as u32,            "4.5",  ADVICE, "drop the pages when memory runs short";
    MADV_REMOVE          = libc::MADV_REMOVE as u32,          "2.6",  ADVICE, "punch a hole into the file behind the memory";
    MADV_DONTFORK        = libc::MADV_DONTFORK as u32,        "2.6",  ADVICE, "a child does not get this memory";
    MADV_DOFORK          = libc::MADV_DOFORK as u32,          "2.6",  ADVICE, "a child gets this memory again";
    MADV_MERGEABLE       = libc::MADV_MERGEABLE as u32,       "2.6",  ADVICE, "share pages that are alike";
    MADV_UNMERGEABLE     = libc::MADV_UNMERGEABLE as u32,     "2.6",  ADVICE, "share no pages any more";
    MADV_HUGEPAGE        = libc::MADV_HUGEPAGE as u32,        "2.6",  ADVICE, "use huge pages";
    MADV_NOHUGEPAGE      = libc::MADV_NOHUGEPAGE as u32,      "2.6",  ADVICE, "use no huge pages";
    MADV_DONTDUMP        = libc::MADV_DONTDUMP as u32,        "3.4",  ADVICE, "leave this memory out of core dumps";
    MADV_DODUMP          = libc::MADV_DODUMP as u32,          "3.4",  ADVICE, "let this memory into core dumps again";
    MADV_WIPEONFORK      = libc::MADV_WIPEONFORK as u32,      "4.14", ADVICE, "a child gets zeros in its place";
    MADV_KEEPONFORK      = libc::MADV_KEEPONFORK as u32,      "4.14", ADVICE, "a child gets its bytes again";
    MADV_COLD            = libc::MADV_COLD as u32,            "5.4",  ADVICE, "the first pages to go when memory runs short";
    MADV_PAGEOUT         = libc::MADV_PAGEOUT as u32,         "5.4",  ADVICE, "write the pages out now";
    MADV_POPULATE_READ   = libc::MADV_POPULATE_READ as u32,   "5.14", ADVICE, "map the pages now, for reading";
    MADV_POPULATE_WRITE  = libc::MADV_POPULATE_WRITE as u32,  "5.14", ADVICE, "map the pages now, for writing";
    MADV_DONTNEED_LOCKED = libc::MADV_DONTNEED_LOCKED as u32, "5.18", ADVICE, "as DONTNEED, and locked pages too";
    MADV_COLLAPSE        = libc::MADV_COLLAPSE as u32,        "6.1",  ADVICE, "make huge pages of them now";
    MADV_HWPOISON        = libc::MADV_HWPOISON as u32,        "2.6",  ADVICE, "test: treat the pages as broken";
    MADV_SOFT_OFFLINE    = 101,                               "2.6",  ADVICE, "test: take the pages out of use";
    MADV_GUARD_INSTALL   = 102,                               "6.13", ADVICE, "make each use of the pages a fault";
    MADV_GUARD_REMOVE    = 103,                               "6.13", ADVICE, "make the pages usable again";
}

table! {
    /// The flags of `setxattr(2)`.
    XATTR_FLAGS: Flags, "attribute flag", "XATTR_";
    XATTR_CREATE  = libc::XATTR_CREATE as u32,  "2.5", XATTR, "EEXIST if the file has that attribute";
    XATTR_REPLACE = libc::XATTR_REPLACE as u32, "2.5", XATTR, "ENODATA if the file has no such attribute";
}

table! {
    /// What to do: `epoll_ctl(2)`.
    EPOLL_CTL_COMMANDS: Codes, "epoll command", "EPOLL_CTL_";
    EPOLL_CTL_ADD = libc::EPOLL_CTL_ADD as u32, "2.5", LEN, "watch a descriptor";
    EPOLL_CTL_DEL = libc::EPOLL_CTL_DEL as u32, "2.5", LEN, "watch it no longer";
    EPOLL_CTL_MOD = libc::EPOLL_CTL_MOD as u32, "2.5", LEN, "watch it for other events";
}

table! {
    /// Whom to wait for: `waitid(2)`. The number itself is in `sqe->fd`.
    WAIT_TARGETS: Codes, "wait target", "P_";
    P_ALL   = libc::P_ALL,   "2.6", LEN, "any of the children";
    P_PID   = libc::P_PID,   "2.6", LEN, "the child with this number";
    P_PGID  = libc::P_PGID,  "2.6", LEN, "any child of this process group";
    P_PIDFD = libc::P_PIDFD, "5.4", LEN, "the child of this descriptor";
}

table! {
    /// What to wait for: `waitid(2)`.
    WAIT_FLAGS: Flags, "wait flag", "W";
    WNOHANG    = libc::WNOHANG as u32,    "2.6", OPTIONS, "do not wait at all";
    WSTOPPED   = libc::WSTOPPED as u32,   "2.6", OPTIONS, "a signal stopped the child";
    WEXITED    = libc::WEXITED as u32,    "2.6", OPTIONS, "the child ended";
    WCONTINUED = libc::WCONTINUED as u32, "2.6", OPTIONS, "the child goes on after a stop";
    WNOWAIT    = libc::WNOWAIT as u32,    "2.6", OPTIONS, "leave the child to be waited for again";
}

table! {
    /// How large a futex is: the two lowest bits of the futex flags. Up to Linux 7.3 there are
    /// futexes of 32 bits only.
    FUTEX_SIZES: Codes, "futex size", "FUTEX2_SIZE_";
    FUTEX2_SIZE_U8  = 0, "6.7", FD, "8 bits; EINVAL so far";
    FUTEX2_SIZE_U16 = 1, "6.7", FD, "16 bits; EINVAL so far";
    FUTEX2_SIZE_U32 = 2, "6.7", FD, "32 bits, the only size so far";
    FUTEX2_SIZE_U64 = 3, "6.7", FD, "64 bits; EINVAL so far";
}

table! {
    /// The other futex flags (`linux/futex.h`).
    FUTEX_FLAGS: Flags, "futex flag", "FUTEX2_";
    FUTEX2_NUMA    = 0x04, "6.7",  FD, "a second word names the node of its queue; used from 6.16 on";
    FUTEX2_MPOL    = 0x08, "6.16", FD, "its memory's policy names the node of its queue";
    FUTEX2_PRIVATE = 0x80, "6.7",  FD, "only this process uses it";
}

table! {
    /// The kinds of sockets, the four lowest bits of the type: `socket(2)`.
    SOCKET_TYPES: Codes, "socket type", "SOCK_";
    SOCK_STREAM    = libc::SOCK_STREAM as u32,    "2.0", OFF, "bytes in order, over a connection";
    SOCK_DGRAM     = libc::SOCK_DGRAM as u32,     "2.0", OFF, "messages that may get lost";
    SOCK_RAW       = libc::SOCK_RAW as u32,       "2.0", OFF, "the packets themselves; for root";
    SOCK_RDM       = libc::SOCK_RDM as u32,       "2.0", OFF, "messages in no order, none lost";
    SOCK_SEQPACKET = libc::SOCK_SEQPACKET as u32, "2.6", OFF, "messages in order, over a connection";
}

table! {
    /// The flags beside the type: `socket(2)`, `accept4(2)`.
    SOCKET_FLAGS: Flags, "socket flag", "SOCK_";
    SOCK_NONBLOCK = libc::SOCK_NONBLOCK as u32, "2.6", OFF, "EAGAIN where a call would wait";
    SOCK_CLOEXEC  = libc::SOCK_CLOEXEC as u32,  "2.6", OFF, "closed on exec";
}

table! {
    /// The commands of drivers that `IORING_OP_URING_CMD` carries. Those of a socket are io_uring's
    /// own, and those of FUSE are small numbers, which mean something else to other files
    /// ([`FUSE_COMMANDS`]).
    DEVICE_COMMANDS: Codes, "device command", "";
    BLOCK_URING_CMD_DISCARD      = ioctl_number(0, 0x12, 0, 0),   "6.12", CMD_OP, "discard a range of a block device";
    UBLK_U_IO_FETCH_REQ          = ioctl_number(3, b'u', 0x20, 16), "6.4", CMD_OP, "wait for a ublk device's first request";
    UBLK_U_IO_COMMIT_AND_FETCH_REQ = ioctl_number(3, b'u', 0x21, 16), "6.4", CMD_OP, "answer a ublk request and wait for the next";
    UBLK_U_IO_NEED_GET_DATA      = ioctl_number(3, b'u', 0x22, 16), "6.4", CMD_OP, "have a ublk write's data copied in";
    NVME_URING_CMD_IO            = ioctl_number(3, b'N', 0x80, 72), "5.19", CMD_OP, "an NVMe command to a namespace";
    NVME_URING_CMD_IO_VEC        = ioctl_number(3, b'N', 0x81, 72), "5.19", CMD_OP, "the same, with several buffers";
    NVME_URING_CMD_ADMIN         = ioctl_number(3, b'N', 0x82, 72), "5.19", CMD_OP, "an NVMe command to the controller";
    NVME_URING_CMD_ADMIN_VEC     = ioctl_number(3, b'N', 0x83, 72), "5.19", CMD_OP, "the same, with several buffers";
}

table! {
    /// The commands of `/dev/fuse` that `IORING_OP_URING_CMD` carries.
    FUSE_COMMANDS: Codes, "FUSE command", "";
    FUSE_IO_URING_CMD_REGISTER         = 1, "6.14", CMD_OP, "wait for a file system's first request";
    FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2, "6.14", CMD_OP, "answer a file system's request and wait for the next";
}

/// A command's number as `ioctl(2)` composes it: which way the argument goes (0 none, 3 both),
/// the driver's letter, its own number, and the argument's size.
const fn ioctl_number(direction: u32, letter: u8, number: u8, size: u32) -> u32 {
    direction << 30 | size << 16 | (letter as u32) << 8 | number as u32
}
