//! One entry of each operation, with everything set that it can carry. What entries point at
//! lies in this process.

use std::fmt::Write as _;

use common::catalog;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::results::result;
use super::*;
use crate::codes::cqe;
use crate::decode::Completion;
use crate::names::{operation, user_data};
use crate::registered::Filled;

fn me() -> Reader {
    Reader::of(std::process::id() as i32)
}

const NVME_READ: u32 = common::catalog::borrowed::DEVICE_COMMANDS.code("NVME_URING_CMD_IO");

/// A descriptor that this process does not have: the kind of an open file would change the words.
const NOT_OPEN: i32 = 900_003;

fn told(entry: &Entry) -> Details {
    details(entry, me(), &user_data)
}

fn at<T: ?Sized>(memory: &T) -> u64 {
    std::ptr::from_ref(memory).cast::<u8>() as u64
}

fn entry(opcode: u8, fd: i32) -> Entry {
    Entry { opcode, fd, ..Entry::default() }
}

/// A structure of the kernel's, from numbers of 8 bytes.
fn longs<const N: usize>(numbers: [u64; N]) -> Box<[u64]> {
    Box::new(numbers)
}

/// Two numbers of 4 bytes in one of 8.
fn pair(low: u32, high: u32) -> u64 {
    let [low, high] = [low.to_ne_bytes(), high.to_ne_bytes()];
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&low);
    bytes[4..].copy_from_slice(&high);
    u64::from_ne_bytes(bytes)
}

fn ipv4(port: u16) -> Box<[u8]> {
    let mut address = vec![0; 16];
    address[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    address.into()
}

fn unix(name: &[u8]) -> Box<[u8]> {
    [&(libc::AF_UNIX as u16).to_ne_bytes(), name].concat().into()
}

fn epoll_event(events: u32, data: u64) -> Box<libc::epoll_event> {
    Box::new(libc::epoll_event { events, u64: data })
}

#[test]
fn every_operation_shows_its_arguments() {
    const CWD: i32 = libc::AT_FDCWD;
    let text = b"GET / HTTP/1.1\r\n\r\n and more that is not shown";
    let vectors = longs([at(text), 40, at(text), 2]);
    let (path, other) = (c"/tmp/a file", c"new");
    let (path, other) = (path.as_ptr() as u64, other.as_ptr() as u64);
    let (name, value) = (c"user.colour".as_ptr() as u64, c"blue");
    let (inet, socket, hidden) = (ipv4(4242), unix(b"/run/s\0"), unix(b"\0hidden"));
    let message = longs([at(&*inet), 16, at(&*vectors), 2, 0, 0, 0]);
    let wanted = longs([at(&*inet), 16, at(&*vectors), 2, 8, 24, 0]);
    let (second, far, moment) = (longs([1, 500_000]), longs([i64::MAX as u64, 0]), longs([7, 0]));
    let how = longs([(libc::O_RDONLY | libc::O_CLOEXEC) as u64, 0, libc::RESOLVE_BENEATH]);
    let event = epoll_event((libc::EPOLLIN | libc::EPOLLET) as u32, 7);
    let private = pair(libc::FUTEX2_SIZE_U32 as u32 | libc::FUTEX2_PRIVATE as u32, 0);
    let waiters = longs([3, 0x1000, private, 4, 0x2000, private]);
    let fds = [-1, 9];
    let one = 1_i32;

    let entries = [
        Entry { op_flags: 0b1001, len: -7_i32 as u32, buf_index: 2, ..entry(op::NOP, -1) },
        Entry {
            addr: at(&*vectors),
            len: 2,
            op_flags: libc::RWF_NOWAIT as u32,
            ..entry(op::READV, NOT_OPEN)
        },
        Entry { addr: at(&*vectors), len: 1, off: 512, ..entry(op::WRITEV, NOT_OPEN) },
        Entry { op_flags: 1, off: 100, len: 200, ..entry(op::FSYNC, 3) },
        Entry { addr: at(text), len: 40, buf_index: 1, ..entry(op::READ_FIXED, NOT_OPEN) },
        Entry { addr: at(text), len: 4, off: 9, ..entry(op::WRITE_FIXED, NOT_OPEN) },
        Entry { op_flags: (libc::POLLIN | libc::POLLOUT) as u32, ..entry(op::POLL_ADD, 3) },
        Entry { addr: 7, off: 8, len: 0b110, op_flags: 1, ..entry(op::POLL_REMOVE, -1) },
        Entry { off: 500, op_flags: 0b110, ..entry(op::SYNC_FILE_RANGE, 3) },
        Entry {
            addr: at(&*message),
            len: 1,
            op_flags: libc::MSG_NOSIGNAL as u32,
            ..entry(op::SENDMSG, 3)
        },
        Entry { addr: at(&*wanted), len: 1, ..entry(op::RECVMSG, 3) },
        Entry { addr: at(&*second), off: 3, op_flags: 1 << 2, ..entry(op::TIMEOUT, -1) },
        Entry { addr: 5, off: at(&*moment), op_flags: 0b1011, ..entry(op::TIMEOUT_REMOVE, -1) },
        Entry {
            ioprio: 0b11,
            op_flags: (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u32,
            file_index: u32::MAX,
            ..entry(op::ACCEPT, 3)
        },
        Entry { op_flags: 0b11, ..entry(op::ASYNC_CANCEL, 9) },
        Entry { addr: at(&*far), ..entry(op::LINK_TIMEOUT, -1) },
        Entry { addr: at(&*inet), off: 16, ..entry(op::CONNECT, 3) },
        Entry { off: 100, addr: 200, len: 0b11, ..entry(op::FALLOCATE, 3) },
        Entry {
            addr: path,
            op_flags: (libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32,
            len: 0o640,
            file_index: 3,
            ..entry(op::OPENAT, CWD)
        },
        Entry { file_index: 3, ..entry(op::CLOSE, 0) },
        Entry { addr: at(&fds), len: 2, off: 1, ..entry(op::FILES_UPDATE, -1) },
        Entry {
            addr: path,
            len: libc::STATX_SIZE | libc::STATX_MTIME,
            op_flags: libc::AT_SYMLINK_NOFOLLOW as u32,
            ..entry(op::STATX, 4)
        },
        Entry { off: u64::MAX, op_flags: libc::RWF_NOWAIT as u32, ..entry(op::READ, NOT_OPEN) },
        Entry { addr: at(text), len: 1, ioprio: 0x4004, ..entry(op::WRITE, NOT_OPEN) },
        Entry { off: 4096, op_flags: 3, ..entry(op::FADVISE, 3) },
        Entry { addr: 0x7000_0000, len: 8192, op_flags: 4, ..entry(op::MADVISE, -1) },
        Entry { addr: at(text), len: 40, off: at(&*inet), file_index: 16, ..entry(op::SEND, 3) },
        Entry {
            flags: sqe::BUFFER_SELECT,
            ioprio: 0b10010,
            file_index: 9000,
            buf_index: 5,
            ..entry(op::RECV, 3)
        },
        Entry { addr: path, off: at(&*how), len: 24, ..entry(op::OPENAT2, CWD) },
        Entry { addr: at(&*event), len: 1, off: 5, ..entry(op::EPOLL_CTL, 3) },
        Entry {
            file_index: 2,
            addr: 16,
            off: u64::MAX,
            len: 100,
            op_flags: 1 << 31 | 1,
            ..entry(op::SPLICE, 4)
        },
        Entry { len: 1024, off: 10, buf_index: 3, ..entry(op::PROVIDE_BUFFERS, 4) },
        Entry { buf_index: 3, ..entry(op::REMOVE_BUFFERS, 1) },
        Entry { file_index: 5, len: 50, op_flags: 1 << 31 | 2, ..entry(op::TEE, 6) },
        Entry { len: 2, flags: sqe::FIXED_FILE, ..entry(op::SHUTDOWN, 0) },
        Entry {
            addr: path,
            off: other,
            len: 4,
            op_flags: libc::RENAME_NOREPLACE,
            ..entry(op::RENAMEAT, CWD)
        },
        Entry { addr: path, op_flags: libc::AT_REMOVEDIR as u32, ..entry(op::UNLINKAT, 4) },
        Entry { addr: path, len: 0o750, ..entry(op::MKDIRAT, CWD) },
        Entry { addr: other, off: path, ..entry(op::SYMLINKAT, CWD) },
        Entry {
            addr: path,
            off: other,
            len: CWD as u32,
            op_flags: libc::AT_SYMLINK_FOLLOW as u32,
            ..entry(op::LINKAT, CWD)
        },
        Entry { len: 42, off: 0x1234, file_index: 8, op_flags: 2, ..entry(op::MSG_RING, 3) },
        Entry {
            addr: name,
            off: value.as_ptr() as u64,
            len: 4,
            op_flags: libc::XATTR_CREATE as u32,
            ..entry(op::FSETXATTR, 3)
        },
        Entry {
            addr: name,
            off: value.as_ptr() as u64,
            len: 4,
            addr3: path,
            ..entry(op::SETXATTR, 0)
        },
        Entry { addr: name, len: 64, ..entry(op::FGETXATTR, 3) },
        Entry { addr: name, len: 64, addr3: path, ..entry(op::GETXATTR, 0) },
        Entry {
            off: (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64,
            len: libc::IPPROTO_UDP as u32,
            ..entry(op::SOCKET, libc::AF_INET6)
        },
        Entry {
            flags: sqe::FIXED_FILE,
            off: 3,
            addr: pair(libc::SOL_SOCKET as u32, libc::SO_REUSEADDR as u32),
            addr3: at(&one),
            file_index: 4,
            ..entry(op::URING_CMD, 1)
        },
        Entry { addr: at(&*vectors), len: 2, ioprio: 0b10_1000, ..entry(op::SEND_ZC, 3) },
        Entry { addr: at(&*message), len: 1, ioprio: 1 << 2, ..entry(op::SENDMSG_ZC, 3) },
        Entry {
            flags: sqe::BUFFER_SELECT,
            off: u64::MAX,
            buf_index: 3,
            ..entry(op::READ_MULTISHOT, NOT_OPEN)
        },
        Entry { len: libc::P_PID, file_index: 0b101, ..entry(op::WAITID, 77) },
        Entry { addr: 0x1000, off: 4, addr3: 0xffff_ffff, ..entry(op::FUTEX_WAIT, 130) },
        Entry { addr: 0x1000, off: 1, addr3: 0b11, ..entry(op::FUTEX_WAKE, 2) },
        Entry { addr: at(&*waiters), len: 2, ..entry(op::FUTEX_WAITV, 0) },
        Entry { flags: sqe::FIXED_FILE, op_flags: 1, ..entry(op::FIXED_FD_INSTALL, 2) },
        Entry { off: 5000, ..entry(op::FTRUNCATE, 3) },
        Entry { addr: at(&*hidden), off: hidden.len() as u64, ..entry(op::BIND, 3) },
        Entry { len: 128, ..entry(op::LISTEN, 3) },
        Entry { len: 100, ioprio: 2, file_index: 3, ..entry(op::RECV_ZC, 8) },
        Entry { len: 8, ..entry(op::EPOLL_WAIT, 3) },
        Entry { addr: at(&*vectors), len: 2, off: 100, ..entry(op::READV_FIXED, NOT_OPEN) },
        Entry { addr: at(&*vectors), len: 2, buf_index: 1, ..entry(op::WRITEV_FIXED, NOT_OPEN) },
        Entry { op_flags: libc::O_NONBLOCK as u32, ..entry(op::PIPE, 0) },
        entry(op::NOP128, -1),
        Entry { off: 2, flags: sqe::FIXED_FILE, file_index: 4, ..entry(op::URING_CMD128, 1) },
        // The same operations asked for something else.
        Entry { off: NVME_READ.into(), flags: sqe::FIXED_FILE, ..entry(op::URING_CMD, 1) },
        Entry { addr: at(&*socket), off: socket.len() as u64, ..entry(op::CONNECT, 3) },
        Entry { addr: 1, addr3: 2, file_index: 6, off: 0x55, ..entry(op::MSG_RING, 3) },
        Entry { addr: at(&*second), off: 3, op_flags: 1 << 6, ..entry(op::TIMEOUT, -1) },
        Entry { off: pair(u32::MAX, 0), len: 1, ..entry(op::FILES_UPDATE, -1) },
        Entry { addr: 1, off: 2, len: 3, ..entry(99, 5) },
    ];
    let operations: Vec<u32> = entries.iter().map(|entry| entry.opcode.into()).take(65).collect();
    let all: Vec<u32> = catalog::OPERATIONS.entries.iter().map(|known| known.code).collect();
    assert_eq!(operations, all, "one entry of each operation");
    let mut page = String::new();
    for entry in &entries {
        let told = told(entry);
        let _ = writeln!(page, "{} {}", operation(entry.opcode), told.words());
        let _ = writeln!(page, "    {}", serde_json::Value::from(told.object()));
    }
    insta::assert_snapshot!(page);
}

/// Zero is a length, and an offset, like any other.
#[test]
fn what_is_zero_is_shown() {
    assert_eq!(told(&entry(op::READ, NOT_OPEN)).words(), "fd 900003, up to 0 bytes, at 0");
    assert_eq!(told(&entry(op::SEND, 3)).words(), "fd 3, 0 bytes");
    let last = Entry { off: u64::MAX, ..entry(op::WRITE, NOT_OPEN) };
    assert_eq!(told(&last).words(), "fd 900003, 0 bytes, at the file's position");
}

/// A stream has no offsets.
#[test]
fn an_offset_in_a_socket_goes_without_saying() {
    use std::os::fd::AsRawFd;
    let (socket, _) = std::os::unix::net::UnixStream::pair().expect("two sockets");
    let read = entry(op::READ, socket.as_raw_fd());
    assert!(told(&read).words().ends_with("up to 0 bytes"), "{}", told(&read).words());
    assert_eq!(told(&read).object()["offset"], json!(0));
}

/// A number alone does not say what it is.
#[test]
fn flags_without_a_name_show_their_field() {
    let stale = Entry { op_flags: 0x4000, ..entry(op::READ, NOT_OPEN) };
    assert_eq!(told(&stale).words(), "fd 900003, up to 0 bytes, at 0, rw_flags 0x4000");
    let stale = Entry { op_flags: 0x1000, ..entry(op::FSYNC, 3) };
    assert_eq!(told(&stale).words(), "fd 3, the whole file, fsync_flags 0x1000");
}

#[test]
fn a_days_accept_in_words() {
    let accept = Entry { ioprio: 1, file_index: u32::MAX, ..entry(op::ACCEPT, 3) };
    assert_eq!(told(&accept).words(), "fd 3, multishot, into any free slot");
    assert_eq!(told(&accept).object()["into_slot"], json!("any"));
}

/// What cannot be read is left out; the rest stays.
#[test]
fn bad_addresses_are_left_out() {
    let bad = |opcode| Entry { addr: 8, len: 5, off: 16, addr3: 24, ..entry(opcode, NOT_OPEN) };
    assert_eq!(told(&bad(op::READV)).words(), "fd 900003, 5 buffers, at 16");
    assert_eq!(told(&bad(op::OPENAT)).words(), "fd 900003, O_RDONLY, 05");
    for opcode in 0..70 {
        let entry = bad(opcode);
        let blind = details(&entry, Reader::blind(), &user_data);
        assert_eq!(told(&entry).words(), blind.words(), "operation {opcode}");
    }
}

fn answer(entry: &Entry, res: i32, flags: u32, filled: &[Filled]) -> (String, Value) {
    let completion = Completion { res, flags, ..Completion::default() };
    let (words, details) = result(Some(entry), &completion, me(), filled);
    (words, details.object().into())
}

#[test]
fn a_completion_shows_what_lies_in_memory() {
    let (peer, length) = (ipv4(999), 16_u32);
    let accept = Entry { addr: at(&*peer), off: at(&length), ..entry(op::ACCEPT, 3) };
    assert_eq!(answer(&accept, 6, 0, &[]).0, "fd 6 from 127.0.0.1:999");

    let ends = [9, 10];
    let pipe = Entry { addr: at(&ends), ..entry(op::PIPE, 0) };
    assert_eq!(answer(&pipe, 0, 0, &[]), ("fds 9 and 10".into(), json!({ "fds": [9, 10] })));
    let pipe = Entry { file_index: 3, ..pipe };
    assert_eq!(answer(&pipe, 0, 0, &[]).0, "slots 2 and 3");

    let info = longs([0, libc::CLD_EXITED as u64, 77, 3]);
    let wait = Entry { off: at(&*info), ..entry(op::WAITID, 77) };
    assert_eq!(answer(&wait, 0, 0, &[]).0, "process 77 exited with 3");

    let event = epoll_event(libc::EPOLLIN as u32, 7);
    let wait = Entry { addr: at(&*event), len: 8, ..entry(op::EPOLL_WAIT, 3) };
    assert_eq!(answer(&wait, 1, 0, &[]).0, "1 event EPOLLIN 0x7");

    let option = 5_i32;
    let get = Entry { off: 2, addr3: at(&option), ..entry(op::URING_CMD, 3) };
    assert_eq!(answer(&get, 4, 0, &[]).0, "4 bytes: 5");
}

#[test]
fn a_notification_says_whether_it_was_copied() {
    let send = entry(op::SEND_ZC, 3);
    assert_eq!(answer(&send, 0, cqe::NOTIF, &[]).0, "the buffer is free again");
    let send = Entry { ioprio: 1 << 3, ..send };
    let (words, details) = answer(&send, i32::MIN, cqe::NOTIF, &[]);
    assert_eq!(words, "the buffer is free again (it was copied)");
    assert_eq!(details, json!({ "copied": true }));
    assert!(answer(&send, 0, cqe::NOTIF, &[]).0.ends_with("(nothing was copied)"));
}

#[test]
fn a_provided_buffer_shows_what_came() {
    let text = b"hello";
    let receive = Entry { flags: sqe::BUFFER_SELECT, ..entry(op::RECV, 3) };
    let filled = [4, 7].map(|id| Filled { id, address: at(text), length: 5 });
    let (words, details) = answer(&receive, 5, cqe::BUFFER | 4 << 16, &filled[..1]);
    assert_eq!((words.as_str(), details), ("5 bytes \"hello\"", json!({ "data": "\"hello\"" })));
    let bundle = Entry { ioprio: 1 << 4, ..receive };
    let (_, details) = answer(&bundle, 10, cqe::BUFFER | 4 << 16, &filled);
    assert_eq!(details["buffers"], json!([4, 7]));
    let (words, details) = answer(&bundle, 10, cqe::BUFFER | 4 << 16, &[]);
    assert_eq!((words.as_str(), details), ("10 bytes", json!({ "bundle": true })));
}

proptest! {
    /// Any bytes in a ring can be described, without a panic.
    #[test]
    fn garbage_is_described(
        sqe in proptest::array::uniform32(any::<u8>()),
        more in proptest::array::uniform32(any::<u8>()),
        cqe in proptest::array::uniform16(any::<u8>()),
        opcode in proptest::option::of(0..70_u8),
    ) {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&sqe);
        bytes[32..].copy_from_slice(&more);
        bytes[0] = opcode.unwrap_or(bytes[0]);
        let entry = Entry::parse(&bytes);
        let completion = Completion::parse(&cqe, None);
        prop_assert!(!operation(entry.opcode).is_empty());
        let _ = (told(&entry).words(), told(&entry).object());
        let (words, _) = result(Some(&entry), &completion, me(), &[]);
        prop_assert!(!words.is_empty() || completion.res == 0);
        prop_assert!(!result(None, &completion, me(), &[]).0.is_empty());
    }
}
