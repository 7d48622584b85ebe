//! The operations: `enum io_uring_op`, `io_uring_enter(2)`.

use super::table::table;

const RING: &str = "ring";
const SOCKETS: &str = "sockets";
const TIME: &str = "polling and timers";
const SLOTS: &str = "slots and buffers";
const FILES: &str = "files and memory";
const PATHS: &str = "paths and attributes";
const PIPES: &str = "pipes";
const TASKS: &str = "processes and futexes";
const DEVICES: &str = "device commands";

/// The groups of the operations, in the order to print them.
pub static OPERATION_GROUPS: [&str; 9] =
    [RING, SOCKETS, TIME, SLOTS, FILES, PATHS, PIPES, TASKS, DEVICES];

table! {
    /// The operations, by the code that a submission queue entry carries in `sqe->opcode`.
    ///
    /// The codes have no gaps: the probe (`IORING_REGISTER_PROBE`, Linux 5.6) numbers its
    /// answers the same way. Linux 6.18 has the first 63.
    OPERATIONS: Codes, "operation", "IORING_OP_";
    IORING_OP_NOP             = 0,  "5.1",  RING,    "do nothing, and complete";
    IORING_OP_READV           = 1,  "5.1",  FILES,   "read into several buffers";
    IORING_OP_WRITEV          = 2,  "5.1",  FILES,   "write from several buffers";
    IORING_OP_FSYNC           = 3,  "5.1",  FILES,   "flush a file to its disk";
    IORING_OP_READ_FIXED      = 4,  "5.1",  FILES,   "read into a registered buffer";
    IORING_OP_WRITE_FIXED     = 5,  "5.1",  FILES,   "write from a registered buffer";
    IORING_OP_POLL_ADD        = 6,  "5.1",  TIME,    "wait until a descriptor is ready, once or each time";
    IORING_OP_POLL_REMOVE     = 7,  "5.1",  TIME,    "end a poll, or change it";
    IORING_OP_SYNC_FILE_RANGE = 8,  "5.2",  FILES,   "flush a part of a file";
    IORING_OP_SENDMSG         = 9,  "5.3",  SOCKETS, "send a message with address and control data";
    IORING_OP_RECVMSG         = 10, "5.3",  SOCKETS, "receive a message with address and control data";
    IORING_OP_TIMEOUT         = 11, "5.4",  TIME,    "complete at a time, or after so many completions";
    IORING_OP_TIMEOUT_REMOVE  = 12, "5.5",  TIME,    "end a timeout, or change it";
    IORING_OP_ACCEPT          = 13, "5.5",  SOCKETS, "accept a connection, or every one from now on";
    IORING_OP_ASYNC_CANCEL    = 14, "5.5",  RING,    "cancel operations that are in flight";
    IORING_OP_LINK_TIMEOUT    = 15, "5.5",  TIME,    "limit how long the entry linked before it may take";
    IORING_OP_CONNECT         = 16, "5.5",  SOCKETS, "connect a socket";
    IORING_OP_FALLOCATE       = 17, "5.6",  FILES,   "reserve or release space in a file";
    IORING_OP_OPENAT          = 18, "5.6",  PATHS,   "open a file, as a descriptor or into a slot";
    IORING_OP_CLOSE           = 19, "5.6",  PATHS,   "close a descriptor or a slot";
    IORING_OP_FILES_UPDATE    = 20, "5.6",  SLOTS,   "put descriptors into slots, or empty slots";
    IORING_OP_STATX           = 21, "5.6",  PATHS,   "ask for a file's size, times and owner";
    IORING_OP_READ            = 22, "5.6",  FILES,   "read into one buffer";
    IORING_OP_WRITE           = 23, "5.6",  FILES,   "write from one buffer";
    IORING_OP_FADVISE         = 24, "5.6",  FILES,   "say how a file will be read";
    IORING_OP_MADVISE         = 25, "5.6",  FILES,   "say how memory will be used";
    IORING_OP_SEND            = 26, "5.6",  SOCKETS, "send bytes";
    IORING_OP_RECV            = 27, "5.6",  SOCKETS, "receive bytes, once or for as long as they come";
    IORING_OP_OPENAT2         = 28, "5.6",  PATHS,   "open a file with rules for how its path resolves";
    IORING_OP_EPOLL_CTL       = 29, "5.6",  TIME,    "change what an epoll descriptor watches";
    IORING_OP_SPLICE          = 30, "5.7",  PIPES,   "move data from or to a pipe inside the kernel";
    IORING_OP_PROVIDE_BUFFERS = 31, "5.7",  SLOTS,   "give the kernel buffers to pick from";
    IORING_OP_REMOVE_BUFFERS  = 32, "5.7",  SLOTS,   "take provided buffers back";
    IORING_OP_TEE             = 33, "5.8",  PIPES,   "copy data from pipe to pipe without taking it";
    IORING_OP_SHUTDOWN        = 34, "5.11", SOCKETS, "end reading or writing of a connection";
    IORING_OP_RENAMEAT        = 35, "5.11", PATHS,   "rename a file";
    IORING_OP_UNLINKAT        = 36, "5.11", PATHS,   "remove a file or a directory";
    IORING_OP_MKDIRAT         = 37, "5.15", PATHS,   "make a directory";
    IORING_OP_SYMLINKAT       = 38, "5.15", PATHS,   "make a symbolic link";
    IORING_OP_LINKAT          = 39, "5.15", PATHS,   "give a file one more name";
    IORING_OP_MSG_RING        = 40, "5.18", RING,    "post a completion, or a slot's file, to another ring";
    IORING_OP_FSETXATTR       = 41, "5.19", PATHS,   "set an attribute of an open file";
    IORING_OP_SETXATTR        = 42, "5.19", PATHS,   "set an attribute of a path";
    IORING_OP_FGETXATTR       = 43, "5.19", PATHS,   "read an attribute of an open file";
    IORING_OP_GETXATTR        = 44, "5.19", PATHS,   "read an attribute of a path";
    IORING_OP_SOCKET          = 45, "5.19", SOCKETS, "make a socket, as a descriptor or into a slot";
    IORING_OP_URING_CMD       = 46, "5.19", DEVICES, "a command of the file's own driver, or of a socket";
    IORING_OP_SEND_ZC         = 47, "6.0",  SOCKETS, "send without copying; a notification frees the data";
    IORING_OP_SENDMSG_ZC      = 48, "6.1",  SOCKETS, "send a message without copying";
    IORING_OP_READ_MULTISHOT  = 49, "6.7",  FILES,   "read into provided buffers as long as data comes";
    IORING_OP_WAITID          = 50, "6.7",  TASKS,   "wait until a child process changes state";
    IORING_OP_FUTEX_WAIT      = 51, "6.7",  TASKS,   "wait until a futex is woken";
    IORING_OP_FUTEX_WAKE      = 52, "6.7",  TASKS,   "wake what waits on a futex";
    IORING_OP_FUTEX_WAITV     = 53, "6.7",  TASKS,   "wait on several futexes";
    IORING_OP_FIXED_FD_INSTALL = 54, "6.8", SLOTS,   "make a descriptor for the file in a slot";
    IORING_OP_FTRUNCATE       = 55, "6.9",  FILES,   "cut or extend a file";
    IORING_OP_BIND            = 56, "6.11", SOCKETS, "give a socket its address";
    IORING_OP_LISTEN          = 57, "6.11", SOCKETS, "make a socket take connections";
    IORING_OP_RECV_ZC         = 58, "6.15", SOCKETS, "receive from the network card without copying";
    IORING_OP_EPOLL_WAIT      = 59, "6.15", TIME,    "fetch the events of an epoll descriptor";
    IORING_OP_READV_FIXED     = 60, "6.15", FILES,   "read into several parts of a registered buffer";
    IORING_OP_WRITEV_FIXED    = 61, "6.15", FILES,   "write from several parts of a registered buffer";
    IORING_OP_PIPE            = 62, "6.16", PIPES,   "make a pipe, as descriptors or into slots";
    IORING_OP_NOP128          = 63, "6.19", RING,    "do nothing, in an entry of 128 bytes";
    IORING_OP_URING_CMD128    = 64, "6.19", DEVICES, "a driver's command in an entry of 128 bytes";
}
