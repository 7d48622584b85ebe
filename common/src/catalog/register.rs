//! What `io_uring_register(2)` can be asked for.

use std::fmt;

use super::table::{append, table};

const BUFFERS: &str = "buffers";
const FILES: &str = "files";
const NOTICE: &str = "eventfd and clock";
const RIGHTS: &str = "probe and rights";
const WORKERS: &str = "workers and cancelling";
const RING: &str = "ring";
const NETWORK: &str = "network";
const OPCODE: &str = "opcode";
const FLAGS: &str = "flags";

table! {
    /// The operations of `io_uring_register(2)`, by its `opcode`.
    REGISTER_OPERATIONS: Codes, "register operation", "IORING_";
    IORING_REGISTER_BUFFERS          = 0,  "5.1",  BUFFERS, "pin buffers for the fixed operations";
    IORING_UNREGISTER_BUFFERS        = 1,  "5.1",  BUFFERS, "let go of the pinned buffers";
    IORING_REGISTER_FILES            = 2,  "5.1",  FILES,   "make a table of slots from descriptors";
    IORING_UNREGISTER_FILES          = 3,  "5.1",  FILES,   "drop the table of slots";
    IORING_REGISTER_EVENTFD          = 4,  "5.2",  NOTICE,  "signal an eventfd at each completion";
    IORING_UNREGISTER_EVENTFD        = 5,  "5.2",  NOTICE,  "stop signalling the eventfd";
    IORING_REGISTER_FILES_UPDATE     = 6,  "5.5",  FILES,   "fill or empty slots";
    IORING_REGISTER_EVENTFD_ASYNC    = 7,  "5.6",  NOTICE,  "signal only what did not complete at once";
    IORING_REGISTER_PROBE            = 8,  "5.6",  RIGHTS,  "ask which operations the kernel has";
    IORING_REGISTER_PERSONALITY      = 9,  "5.6",  RIGHTS,  "keep the caller's rights for later entries";
    IORING_UNREGISTER_PERSONALITY    = 10, "5.6",  RIGHTS,  "forget rights that were kept";
    IORING_REGISTER_RESTRICTIONS     = 11, "5.10", RIGHTS,  "limit what the ring may do";
    IORING_REGISTER_ENABLE_RINGS     = 12, "5.10", RING,    "enable a ring that was started disabled";
    IORING_REGISTER_FILES2           = 13, "5.13", FILES,   "make a table of slots, with tags or empty";
    IORING_REGISTER_FILES_UPDATE2    = 14, "5.13", FILES,   "fill or empty slots, with tags";
    IORING_REGISTER_BUFFERS2         = 15, "5.13", BUFFERS, "pin buffers, with tags or empty";
    IORING_REGISTER_BUFFERS_UPDATE   = 16, "5.13", BUFFERS, "replace pinned buffers";
    IORING_REGISTER_IOWQ_AFF         = 17, "5.14", WORKERS, "bind the workers to CPUs";
    IORING_UNREGISTER_IOWQ_AFF       = 18, "5.14", WORKERS, "let the workers run on any CPU";
    IORING_REGISTER_IOWQ_MAX_WORKERS = 19, "5.15", WORKERS, "limit how many workers there are";
    IORING_REGISTER_RING_FDS         = 20, "5.18", RING,    "register the ring's own descriptor";
    IORING_UNREGISTER_RING_FDS       = 21, "5.18", RING,    "drop the ring's registered descriptor";
    IORING_REGISTER_PBUF_RING        = 22, "5.19", BUFFERS, "provide buffers through a ring of their own";
    IORING_UNREGISTER_PBUF_RING      = 23, "5.19", BUFFERS, "drop a ring of provided buffers";
    IORING_REGISTER_SYNC_CANCEL      = 24, "6.0",  WORKERS, "cancel, and wait until it is done";
    IORING_REGISTER_FILE_ALLOC_RANGE = 25, "6.0",  FILES,   "set the range of slots that the kernel may pick from";
    IORING_REGISTER_PBUF_STATUS      = 26, "6.8",  BUFFERS, "ask how far the kernel is in a ring of buffers";
    IORING_REGISTER_NAPI             = 27, "6.9",  NETWORK, "poll the network card while waiting";
    IORING_UNREGISTER_NAPI           = 28, "6.9",  NETWORK, "stop polling the network card";
    IORING_REGISTER_CLOCK            = 29, "6.12", NOTICE,  "choose the clock for the timeouts of waits";
    IORING_REGISTER_CLONE_BUFFERS    = 30, "6.12", BUFFERS, "share the pinned buffers of another ring";
    IORING_REGISTER_SEND_MSG_RING    = 31, "6.13", RING,    "post to a ring, without a ring of one's own";
    IORING_REGISTER_ZCRX_IFQ         = 32, "6.15", NETWORK, "take a card's receive queue for zero-copy";
    IORING_REGISTER_RESIZE_RINGS     = 33, "6.13", RING,    "change the sizes of the queues";
    IORING_REGISTER_MEM_REGION       = 34, "6.13", RING,    "register memory for the arguments of waits";
    IORING_REGISTER_QUERY            = 35, "6.18", RIGHTS,  "ask which operations, flags and features there are";
    IORING_REGISTER_ZCRX_CTRL        = 36, "6.19", NETWORK, "flush or export a zero-copy receive queue";
    IORING_REGISTER_BPF_FILTER       = 37, "7.0",  RIGHTS,  "let a BPF program allow or deny entries";
}

table! {
    /// The bits that can be added to the `opcode` of `io_uring_register(2)`.
    REGISTER_FLAGS: Flags, "register flag", "IORING_REGISTER_";
    IORING_REGISTER_USE_REGISTERED_RING = 1 << 31, "6.3", OPCODE, "the ring is named by its registered index";
}

table! {
    /// The flags of `IORING_REGISTER_PBUF_RING`, in `io_uring_buf_reg.flags`.
    BUFFER_RING_FLAGS: Flags, "buffer ring flag", "IOU_PBUF_RING_";
    IOU_PBUF_RING_MMAP = 1 << 0, "6.4",  FLAGS, "the kernel brings the ring's memory; the program maps it";
    IOU_PBUF_RING_INC  = 1 << 1, "6.12", FLAGS, "a buffer is used up bit by bit";
}

table! {
    /// The flags of `IORING_REGISTER_FILES2` and `IORING_REGISTER_BUFFERS2`.
    RESOURCE_FLAGS: Flags, "resource flag", "IORING_RSRC_REGISTER_";
    IORING_RSRC_REGISTER_SPARSE = 1 << 0, "5.19", FLAGS, "a table of empty places";
}

table! {
    /// The flags of `IORING_REGISTER_CLONE_BUFFERS`.
    CLONE_FLAGS: Flags, "clone flag", "IORING_REGISTER_";
    IORING_REGISTER_SRC_REGISTERED = 1 << 0, "6.12", FLAGS, "the source ring is named by its index";
    IORING_REGISTER_DST_REPLACE    = 1 << 1, "6.13", FLAGS, "replace buffers that are there already";
}

/// The `opcode` of a call of `io_uring_register(2)` for printing, with or without
/// `IORING_REGISTER_USE_REGISTERED_RING`. `{:#}` prints short names.
pub fn register_call(opcode: u32) -> RegisterCall {
    RegisterCall(opcode)
}

/// Prints the `opcode` of a register call: see [`register_call`].
#[derive(Clone, Copy, Debug)]
pub struct RegisterCall(u32);

impl fmt::Display for RegisterCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = REGISTER_OPERATIONS.name(REGISTER_FLAGS.unknown_in(self.0));
        let mut text = if f.alternate() { format!("{operation:#}") } else { operation.to_string() };
        for flag in REGISTER_FLAGS.set_in(self.0) {
            append(&mut text, if f.alternate() { flag.short } else { flag.name });
        }
        f.pad(&text)
    }
}
