//! The codes against those of the `io-uring` crate.

use io_uring::opcode::*;

use super::*;

macro_rules! pairs {
    ($($operation:ident $name:literal)*) => { [$(($operation::CODE, $name)),*] };
}

/// Every operation of the crate, by its own name and the kernel's. Some share a code.
const CRATE: [(u8, &str); 75] = pairs! {
    Nop "NOP" Readv "READV" Writev "WRITEV" Fsync "FSYNC" ReadFixed "READ_FIXED"
    WriteFixed "WRITE_FIXED" PollAdd "POLL_ADD" PollRemove "POLL_REMOVE"
    SyncFileRange "SYNC_FILE_RANGE" SendMsg "SENDMSG" RecvMsg "RECVMSG" RecvMsgMulti "RECVMSG"
    Timeout "TIMEOUT" TimeoutRemove "TIMEOUT_REMOVE" TimeoutUpdate "TIMEOUT_REMOVE"
    Accept "ACCEPT" AcceptMulti "ACCEPT" AsyncCancel "ASYNC_CANCEL" AsyncCancel2 "ASYNC_CANCEL"
    LinkTimeout "LINK_TIMEOUT" Connect "CONNECT" Fallocate "FALLOCATE" OpenAt "OPENAT"
    Close "CLOSE" FilesUpdate "FILES_UPDATE" Statx "STATX" Read "READ" Write "WRITE"
    Fadvise "FADVISE" Madvise "MADVISE" Send "SEND" SendBundle "SEND" Recv "RECV"
    RecvMulti "RECV" RecvBundle "RECV" RecvMultiBundle "RECV" OpenAt2 "OPENAT2"
    EpollCtl "EPOLL_CTL" Splice "SPLICE" ProvideBuffers "PROVIDE_BUFFERS"
    RemoveBuffers "REMOVE_BUFFERS" Tee "TEE" Shutdown "SHUTDOWN" RenameAt "RENAMEAT"
    UnlinkAt "UNLINKAT" MkDirAt "MKDIRAT" SymlinkAt "SYMLINKAT" LinkAt "LINKAT"
    MsgRingData "MSG_RING" MsgRingSendFd "MSG_RING" FSetXattr "FSETXATTR" SetXattr "SETXATTR"
    FGetXattr "FGETXATTR" GetXattr "GETXATTR" Socket "SOCKET" UringCmd16 "URING_CMD"
    UringCmd80 "URING_CMD" SetSockOpt "URING_CMD" GetSockOpt "URING_CMD" SendZc "SEND_ZC" SendMsgZc "SENDMSG_ZC"
    ReadMulti "READ_MULTISHOT" WaitId "WAITID" FutexWait "FUTEX_WAIT" FutexWake "FUTEX_WAKE"
    FutexWaitV "FUTEX_WAITV" FixedFdInstall "FIXED_FD_INSTALL" Ftruncate "FTRUNCATE"
    Bind "BIND" Listen "LISTEN" RecvZc "RECV_ZC" EpollWait "EPOLL_WAIT"
    ReadvFixed "READV_FIXED" WritevFixed "WRITEV_FIXED" Pipe "PIPE"
};

#[test]
fn the_crates_codes_have_our_names() {
    for (code, name) in CRATE {
        assert_eq!(format!("{:#}", OPERATIONS.name(code.into())), name);
    }
    let covered: BTreeSet<u8> = CRATE.iter().map(|(code, _)| *code).collect();
    assert_eq!(covered, (0..63).collect(), "the crate has every operation of Linux 6.18");
}

#[test]
fn the_crates_completion_flags_are_ours() {
    use io_uring::cqueue;
    assert_eq!(buffer_id(0x9_0001), cqueue::buffer_select(0x9_0001));
    assert_eq!(buffer_id(0x9_0000), cqueue::buffer_select(0x9_0000));
    let named = |name| COMPLETION_FLAGS.by_name(name).expect("in the table").code;
    assert!(cqueue::more(named("MORE")) && !cqueue::more(!named("MORE")));
    assert!(cqueue::notif(named("NOTIF")) && !cqueue::notif(!named("NOTIF")));
    let nonempty = named("SOCK_NONEMPTY");
    assert!(cqueue::sock_nonempty(nonempty) && !cqueue::sock_nonempty(!nonempty));
}

#[test]
fn the_crates_entry_flags_are_ours() {
    use io_uring::squeue::Flags;
    let theirs = [
        (Flags::FIXED_FILE, "FIXED_FILE"),
        (Flags::IO_DRAIN, "IO_DRAIN"),
        (Flags::IO_LINK, "IO_LINK"),
        (Flags::IO_HARDLINK, "IO_HARDLINK"),
        (Flags::ASYNC, "ASYNC"),
        (Flags::BUFFER_SELECT, "BUFFER_SELECT"),
        (Flags::SKIP_SUCCESS, "CQE_SKIP_SUCCESS"),
    ];
    for (flag, name) in theirs {
        assert_eq!(format!("{:#}", ENTRY_FLAGS.flags(flag.bits().into())), name);
    }
    assert_eq!(ENTRY_FLAGS.unknown_in(Flags::all().bits().into()), 0);
}
