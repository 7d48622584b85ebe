//! What a submission queue entry carries besides its operation: `io_uring_enter(2)` and the
//! `io_uring_prep_*(3)` pages. The group of these flags is the field that holds them.

use super::table::table;

const FLAGS: &str = "sqe->flags";
const IOPRIO: &str = "sqe->ioprio";
const LEN: &str = "sqe->len";
const ADDR: &str = "sqe->addr";
const CMD_OP: &str = "sqe->cmd_op";
const TIMEOUT: &str = "sqe->timeout_flags";
const CANCEL: &str = "sqe->cancel_flags";
const MSG_RING: &str = "sqe->msg_ring_flags";
const NOP: &str = "sqe->nop_flags";
const FSYNC: &str = "sqe->fsync_flags";
const INSTALL: &str = "sqe->install_fd_flags";
const SPLICE: &str = "sqe->splice_flags";
const FILE_INDEX: &str = "sqe->file_index";
const MOCK: &str = "the structures of mock_file.h";
const ATTRIBUTES: &str = "sqe->attr_type_mask";
const URING_CMD: &str = "sqe->uring_cmd_flags";

table! {
    /// The flags that any entry can carry, in `sqe->flags`.
    ENTRY_FLAGS: Flags, "entry flag", "IOSQE_";
    IOSQE_FIXED_FILE       = 1 << 0, "5.1",  FLAGS, "sqe->fd is a slot of the registered files";
    IOSQE_IO_DRAIN         = 1 << 1, "5.2",  FLAGS, "start when everything before it has completed";
    IOSQE_IO_LINK          = 1 << 2, "5.3",  FLAGS, "the next entry starts when this one has succeeded";
    IOSQE_IO_HARDLINK      = 1 << 3, "5.5",  FLAGS, "the next entry starts when this one ends, even in error";
    IOSQE_ASYNC            = 1 << 4, "5.6",  FLAGS, "give it to a worker thread at once";
    IOSQE_BUFFER_SELECT    = 1 << 5, "5.7",  FLAGS, "the kernel picks a buffer of group sqe->buf_group";
    IOSQE_CQE_SKIP_SUCCESS = 1 << 6, "5.17", FLAGS, "no completion if it succeeds";
}

table! {
    /// The flags of `IORING_OP_ACCEPT`.
    ACCEPT_FLAGS: Flags, "accept flag", "IORING_ACCEPT_";
    IORING_ACCEPT_MULTISHOT  = 1 << 0, "5.19", IOPRIO, "a completion for every connection from now on";
    IORING_ACCEPT_DONTWAIT   = 1 << 1, "6.10", IOPRIO, "EAGAIN if nobody is waiting";
    IORING_ACCEPT_POLL_FIRST = 1 << 2, "6.10", IOPRIO, "wait for a connection before the first try";
}

table! {
    /// The flags of the sends and receives. The message flags of `send(2)` and `recv(2)` are
    /// in `sqe->msg_flags`, not here.
    SEND_RECV_FLAGS: Flags, "send or receive flag", "IORING_";
    IORING_RECVSEND_POLL_FIRST  = 1 << 0, "5.19", IOPRIO, "wait for readiness before the first try";
    IORING_RECV_MULTISHOT       = 1 << 1, "6.0",  IOPRIO, "a completion for whatever comes from now on";
    IORING_RECVSEND_FIXED_BUF   = 1 << 2, "6.0",  IOPRIO, "use the registered buffer sqe->buf_index";
    IORING_SEND_ZC_REPORT_USAGE = 1 << 3, "6.2",  IOPRIO, "say in the notification whether the data was copied";
    IORING_RECVSEND_BUNDLE      = 1 << 4, "6.10", IOPRIO, "use as many provided buffers as it takes";
    IORING_SEND_VECTORIZED      = 1 << 5, "6.17", IOPRIO, "sqe->addr is a list of buffers";
}

table! {
    /// The flags of `IORING_OP_POLL_ADD` and `IORING_OP_POLL_REMOVE`.
    POLL_FLAGS: Flags, "poll flag", "IORING_POLL_";
    IORING_POLL_ADD_MULTI        = 1 << 0, "5.13", LEN, "a completion each time, not only the first";
    IORING_POLL_UPDATE_EVENTS    = 1 << 1, "5.13", LEN, "change which events are polled for";
    IORING_POLL_UPDATE_USER_DATA = 1 << 2, "5.13", LEN, "change the poll's user_data";
    IORING_POLL_ADD_LEVEL        = 1 << 3, "6.0",  LEN, "refused: the header has it, and no kernel takes it";
}

table! {
    /// The flags of `IORING_OP_TIMEOUT`, `_TIMEOUT_REMOVE` and `_LINK_TIMEOUT`.
    TIMEOUT_FLAGS: Flags, "timeout flag", "IORING_TIMEOUT_";
    IORING_TIMEOUT_ABS           = 1 << 0, "5.4",  TIMEOUT, "a moment, not a length of time";
    IORING_TIMEOUT_UPDATE        = 1 << 1, "5.11", TIMEOUT, "change a timeout that is running";
    IORING_TIMEOUT_BOOTTIME      = 1 << 2, "5.15", TIMEOUT, "by the clock that runs on while suspended";
    IORING_TIMEOUT_REALTIME      = 1 << 3, "5.15", TIMEOUT, "by the time of day";
    IORING_LINK_TIMEOUT_UPDATE   = 1 << 4, "5.15", TIMEOUT, "change a linked timeout that is running";
    IORING_TIMEOUT_ETIME_SUCCESS = 1 << 5, "5.16", TIMEOUT, "a timeout that runs out does not break a link";
    IORING_TIMEOUT_MULTISHOT     = 1 << 6, "6.4",  TIMEOUT, "complete again and again";
    IORING_TIMEOUT_IMMEDIATE_ARG = 1 << 7, "7.1",  TIMEOUT, "sqe->addr is the time itself, in nanoseconds";
}

table! {
    /// The flags of `IORING_OP_ASYNC_CANCEL` and `IORING_REGISTER_SYNC_CANCEL`.
    CANCEL_FLAGS: Flags, "cancel flag", "IORING_ASYNC_CANCEL_";
    IORING_ASYNC_CANCEL_ALL      = 1 << 0, "5.19", CANCEL, "every operation that matches, not only the first";
    IORING_ASYNC_CANCEL_FD       = 1 << 1, "5.19", CANCEL, "match by descriptor";
    IORING_ASYNC_CANCEL_ANY      = 1 << 2, "5.19", CANCEL, "whatever is in flight";
    IORING_ASYNC_CANCEL_FD_FIXED = 1 << 3, "6.0",  CANCEL, "the descriptor is a slot";
    IORING_ASYNC_CANCEL_USERDATA = 1 << 4, "6.6",  CANCEL, "match by user_data, as well as by the rest";
    IORING_ASYNC_CANCEL_OP       = 1 << 5, "6.6",  CANCEL, "match by operation";
}

table! {
    /// What `IORING_OP_MSG_RING` sends.
    MSG_RING_COMMANDS: Codes, "ring message", "IORING_MSG_";
    IORING_MSG_DATA    = 0, "5.18", ADDR, "a result and a user_data";
    IORING_MSG_SEND_FD = 1, "6.0",  ADDR, "the file of a slot";
}

table! {
    /// The flags of `IORING_OP_MSG_RING`.
    MSG_RING_FLAGS: Flags, "ring message flag", "IORING_MSG_RING_";
    IORING_MSG_RING_CQE_SKIP   = 1 << 0, "6.0", MSG_RING, "no completion in the other ring";
    IORING_MSG_RING_FLAGS_PASS = 1 << 1, "6.3", MSG_RING, "sqe->file_index becomes the completion's flags";
}

table! {
    /// The flags of `IORING_OP_NOP`, which serve to test the ring itself.
    NOP_FLAGS: Flags, "nop flag", "IORING_NOP_";
    IORING_NOP_INJECT_RESULT = 1 << 0, "6.10", NOP, "complete with the result in sqe->len";
    IORING_NOP_FILE          = 1 << 1, "6.13", NOP, "look the descriptor up";
    IORING_NOP_FIXED_FILE    = 1 << 2, "6.13", NOP, "look the slot up";
    IORING_NOP_FIXED_BUFFER  = 1 << 3, "6.13", NOP, "look the registered buffer up";
    IORING_NOP_TW            = 1 << 4, "6.17", NOP, "complete by way of task work";
    IORING_NOP_CQE32         = 1 << 5, "6.18", NOP, "complete with 32 bytes";
}

table! {
    /// The flags of `IORING_OP_FSYNC`.
    FSYNC_FLAGS: Flags, "fsync flag", "IORING_FSYNC_";
    IORING_FSYNC_DATASYNC = 1 << 0, "5.1", FSYNC, "only the data, and what is needed to read it again";
}

table! {
    /// The flags of `IORING_OP_FIXED_FD_INSTALL`.
    INSTALL_FLAGS: Flags, "install flag", "IORING_FIXED_FD_";
    IORING_FIXED_FD_NO_CLOEXEC = 1 << 0, "6.8", INSTALL, "the descriptor stays open across exec";
}

table! {
    /// The flags of `IORING_OP_URING_CMD`.
    URING_CMD_FLAGS: Flags, "command flag", "IORING_URING_CMD_";
    IORING_URING_CMD_FIXED     = 1 << 0, "6.1",  URING_CMD, "use the registered buffer sqe->buf_index";
    IORING_URING_CMD_MULTISHOT = 1 << 1, "6.18", URING_CMD, "several completions, each in a provided buffer";
}

table! {
    /// The commands that `IORING_OP_URING_CMD` knows for a socket
    /// (`io_uring_prep_cmd_sock(3)`).
    SOCKET_COMMANDS: Codes, "socket command", "SOCKET_URING_OP_";
    SOCKET_URING_OP_SIOCINQ      = 0, "6.6",  CMD_OP, "how many bytes wait to be received";
    SOCKET_URING_OP_SIOCOUTQ     = 1, "6.6",  CMD_OP, "how many bytes wait to be sent";
    SOCKET_URING_OP_GETSOCKOPT   = 2, "6.7",  CMD_OP, "read a socket option";
    SOCKET_URING_OP_SETSOCKOPT   = 3, "6.7",  CMD_OP, "set a socket option";
    SOCKET_URING_OP_TX_TIMESTAMP = 4, "6.17", CMD_OP, "when sent data left the machine";
    SOCKET_URING_OP_GETSOCKNAME  = 5, "6.19", CMD_OP, "the socket's own address, or its peer's";
}

table! {
    /// The flag of `IORING_OP_SPLICE` and `IORING_OP_TEE` that is io_uring's own. The others are
    /// those of `splice(2)`.
    SPLICE_SLOT_FLAGS: Flags, "splice slot flag", "SPLICE_F_";
    SPLICE_F_FD_IN_FIXED = 1 << 31, "5.7", SPLICE, "sqe->splice_fd_in is a slot";
}

table! {
    /// What a read or write carries besides its data.
    RW_ATTRIBUTES: Flags, "read or write attribute", "IORING_RW_ATTR_FLAG_";
    IORING_RW_ATTR_FLAG_PI = 1 << 0, "6.14", ATTRIBUTES, "integrity data of the disk: io_uring_attr_pi";
}

table! {
    /// The commands of the mock files' manager, `/dev/io_uring_mock`
    /// (`linux/io_uring/mock_file.h`).
    MOCK_MANAGER_COMMANDS: Codes, "mock manager command", "IORING_MOCK_MGR_CMD_";
    IORING_MOCK_MGR_CMD_PROBE  = 0, "6.17", CMD_OP, "ask which features mock files have";
    IORING_MOCK_MGR_CMD_CREATE = 1, "6.17", CMD_OP, "make a mock file";
}

table! {
    /// The commands of a mock file, which serves to test io_uring itself.
    MOCK_COMMANDS: Codes, "mock command", "IORING_MOCK_CMD_";
    IORING_MOCK_CMD_COPY_REGBUF = 0, "6.17", CMD_OP, "copy to or from a registered buffer";
}

table! {
    /// The flags of `IORING_MOCK_CMD_COPY_REGBUF`.
    MOCK_COPY_FLAGS: Flags, "mock copy flag", "IORING_MOCK_COPY_";
    IORING_MOCK_COPY_FROM = 1 << 0, "6.17", FILE_INDEX, "from the registered buffer, not to it";
}

table! {
    /// The flags of `IORING_MOCK_MGR_CMD_CREATE`.
    MOCK_CREATE_FLAGS: Flags, "mock create flag", "IORING_MOCK_CREATE_F_";
    IORING_MOCK_CREATE_F_SUPPORT_NOWAIT = 1 << 0, "6.17", MOCK, "reads and writes can be tried without a wait";
    IORING_MOCK_CREATE_F_POLL           = 1 << 1, "6.17", MOCK, "it can be polled";
}

table! {
    /// What `IORING_MOCK_MGR_CMD_PROBE` reports: the numbers of bits.
    MOCK_FEATURES: Codes, "mock feature", "IORING_MOCK_FEAT_";
    IORING_MOCK_FEAT_CMD_COPY  = 0, "6.17", MOCK, "IORING_MOCK_CMD_COPY_REGBUF";
    IORING_MOCK_FEAT_RW_ZERO   = 1, "6.17", MOCK, "it reads as zeros, and writes go nowhere";
    IORING_MOCK_FEAT_RW_NOWAIT = 2, "6.17", MOCK, "IORING_MOCK_CREATE_F_SUPPORT_NOWAIT";
    IORING_MOCK_FEAT_RW_ASYNC  = 3, "6.17", MOCK, "reads and writes can take a while: rw_delay_ns";
    IORING_MOCK_FEAT_POLL      = 4, "6.17", MOCK, "IORING_MOCK_CREATE_F_POLL";
}
