//! What a ring is made with and called with: `io_uring_setup(2)`, `io_uring_enter(2)`.

use super::table::table;

const POLL: &str = "polling";
const SIZE: &str = "sizes";
const START: &str = "start and sharing";
const WORK: &str = "completion work";
const MEMORY: &str = "memory";
const ENTRIES: &str = "entries";
const WAIT: &str = "waiting";
const FILES: &str = "files";
const MAP: &str = "the offset of mmap(2)";

table! {
    /// The flags of `io_uring_setup(2)`, in `io_uring_params.flags`.
    SETUP_FLAGS: Flags, "setup flag", "IORING_SETUP_";
    IORING_SETUP_IOPOLL        = 1 << 0,  "5.1",  POLL,    "poll the device for completions, without interrupts";
    IORING_SETUP_SQPOLL        = 1 << 1,  "5.1",  POLL,    "a kernel thread polls the submission queue";
    IORING_SETUP_SQ_AFF        = 1 << 2,  "5.1",  POLL,    "bind that thread to the CPU in sq_thread_cpu";
    IORING_SETUP_CQSIZE        = 1 << 3,  "5.5",  SIZE,    "the completion queue's size is in cq_entries";
    IORING_SETUP_CLAMP         = 1 << 4,  "5.6",  SIZE,    "cut sizes that are too large to the largest allowed";
    IORING_SETUP_ATTACH_WQ     = 1 << 5,  "5.6",  START,   "share the workers and poll thread of the ring in wq_fd";
    IORING_SETUP_R_DISABLED    = 1 << 6,  "5.10", START,   "start disabled, until IORING_REGISTER_ENABLE_RINGS";
    IORING_SETUP_SUBMIT_ALL    = 1 << 7,  "5.18", START,   "go on submitting after an entry that fails";
    IORING_SETUP_COOP_TASKRUN  = 1 << 8,  "5.19", WORK,    "complete at the next call or interrupt; force no interrupt";
    IORING_SETUP_TASKRUN_FLAG  = 1 << 9,  "5.19", WORK,    "say in the ring when completion work is waiting";
    IORING_SETUP_SQE128        = 1 << 10, "5.19", ENTRIES, "submission queue entries of 128 bytes";
    IORING_SETUP_CQE32         = 1 << 11, "5.19", ENTRIES, "completions of 32 bytes";
    IORING_SETUP_SINGLE_ISSUER = 1 << 12, "6.0",  WORK,    "only one thread submits";
    IORING_SETUP_DEFER_TASKRUN = 1 << 13, "6.1",  WORK,    "do completion work only when the program waits for it";
    IORING_SETUP_NO_MMAP       = 1 << 14, "6.5",  MEMORY,  "the program brings the memory of the rings";
    IORING_SETUP_REGISTERED_FD_ONLY = 1 << 15, "6.5", START, "no descriptor, only a registered index";
    IORING_SETUP_NO_SQARRAY    = 1 << 16, "6.6",  MEMORY,  "no index array between queue and entries";
    IORING_SETUP_HYBRID_IOPOLL = 1 << 17, "6.13", POLL,    "with IOPOLL: sleep a little before polling";
    IORING_SETUP_CQE_MIXED     = 1 << 18, "6.18", ENTRIES, "completions of 16 and of 32 bytes in one queue";
    IORING_SETUP_SQE_MIXED     = 1 << 19, "6.19", ENTRIES, "entries of 64 and of 128 bytes in one queue";
    IORING_SETUP_SQ_REWIND     = 1 << 20, "7.0",  MEMORY,  "each submit reads the entries from the first one on";
}

table! {
    /// The feature bits that `io_uring_setup(2)` hands back in `io_uring_params.features`.
    FEATURES: Flags, "feature bit", "IORING_FEAT_";
    IORING_FEAT_SINGLE_MMAP     = 1 << 0,  "5.4",  MEMORY,  "both rings come with one mmap";
    IORING_FEAT_NODROP          = 1 << 1,  "5.5",  WAIT,    "completions that do not fit are kept, if memory allows";
    IORING_FEAT_SUBMIT_STABLE   = 1 << 2,  "5.5",  MEMORY,  "paths and iovecs are read at the submit, data is not";
    IORING_FEAT_RW_CUR_POS      = 1 << 3,  "5.6",  FILES,   "offset -1 means the file's own position";
    IORING_FEAT_CUR_PERSONALITY = 1 << 4,  "5.6",  START,   "operations have the rights of the task that submits";
    IORING_FEAT_FAST_POLL       = 1 << 5,  "5.7",  POLL,    "waiting for readiness costs no worker thread";
    IORING_FEAT_POLL_32BITS     = 1 << 6,  "5.9",  POLL,    "polls take 32 bits of events, as epoll does";
    IORING_FEAT_SQPOLL_NONFIXED = 1 << 7,  "5.11", FILES,   "SQPOLL works on descriptors that are not registered";
    IORING_FEAT_EXT_ARG         = 1 << 8,  "5.11", WAIT,    "a wait can carry a timeout of its own";
    IORING_FEAT_NATIVE_WORKERS  = 1 << 9,  "5.12", START,   "workers are threads of the program";
    IORING_FEAT_RSRC_TAGS       = 1 << 10, "5.13", FILES,   "registered files and buffers can be tagged and updated";
    IORING_FEAT_CQE_SKIP        = 1 << 11, "5.17", ENTRIES, "an entry can ask for no completion when it succeeds";
    IORING_FEAT_LINKED_FILE     = 1 << 12, "5.18", FILES,   "a link can use the slot that the link before it filled";
    IORING_FEAT_REG_REG_RING    = 1 << 13, "6.3",  START,   "register calls take a registered ring's index";
    IORING_FEAT_RECVSEND_BUNDLE = 1 << 14, "6.10", ENTRIES, "one send or receive can take several provided buffers";
    IORING_FEAT_MIN_TIMEOUT     = 1 << 15, "6.12", WAIT,    "a wait can last a little longer, to return more";
    IORING_FEAT_RW_ATTR         = 1 << 16, "6.14", FILES,   "reads and writes can carry integrity data";
    IORING_FEAT_NO_IOWAIT       = 1 << 17, "6.15", WAIT,    "a wait can choose not to count as I/O wait";
}

table! {
    /// The flags of `io_uring_enter(2)`.
    ENTER_FLAGS: Flags, "enter flag", "IORING_ENTER_";
    IORING_ENTER_GETEVENTS       = 1 << 0, "5.1",  WAIT,  "wait for min_complete completions";
    IORING_ENTER_SQ_WAKEUP       = 1 << 1, "5.1",  POLL,  "wake the thread that polls the submission queue";
    IORING_ENTER_SQ_WAIT         = 1 << 2, "5.10", POLL,  "wait until that thread has made room";
    IORING_ENTER_EXT_ARG         = 1 << 3, "5.11", WAIT,  "the argument is a structure with a timeout";
    IORING_ENTER_REGISTERED_RING = 1 << 4, "5.18", START, "the ring is named by its registered index";
    IORING_ENTER_ABS_TIMER       = 1 << 5, "6.12", WAIT,  "the timeout is a moment, not a length";
    IORING_ENTER_EXT_ARG_REG     = 1 << 6, "6.13", WAIT,  "the argument is an offset into registered memory";
    IORING_ENTER_NO_IOWAIT       = 1 << 7, "6.15", WAIT,  "do not count this wait as I/O wait";
}

table! {
    /// Where a ring's parts are mapped from: the offset that `mmap(2)` of its descriptor takes.
    MMAP_OFFSETS: Codes, "mmap offset", "IORING_OFF_";
    IORING_OFF_SQ_RING   = 0,           "5.1", MAP, "the submission ring; with SINGLE_MMAP both rings";
    IORING_OFF_CQ_RING   = 0x0800_0000, "5.1", MAP, "the completion ring";
    IORING_OFF_SQES      = 0x1000_0000, "5.1", MAP, "the submission queue entries";
    IORING_OFF_PBUF_RING = 0x8000_0000, "6.4", MAP, "a ring of provided buffers: its group shifted by 16";
}
