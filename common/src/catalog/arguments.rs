//! What is in the structures that `io_uring_register(2)` and waits take and give back. The group
//! of each table is the field that holds its numbers.

use super::table::table;

const FILE_INDEX: &str = "sqe->file_index";
const UPDATED_FD: &str = "io_uring_files_update.fds[]";
const PROBE: &str = "io_uring_probe_op.flags";
const RESTRICTION: &str = "io_uring_restriction.opcode";
const WORKERS: &str = "the index into the two limits";
const REGION: &str = "io_uring_region_desc.flags";
const REGION_USE: &str = "io_uring_mem_region_reg.flags";
const WAIT: &str = "io_uring_reg_wait.flags";
const NAPI: &str = "io_uring_napi.opcode";
const NAPI_PARAM: &str = "io_uring_napi.op_param";
const QUERY: &str = "io_uring_query_hdr.query_op";
const BPF: &str = "io_uring_bpf.cmd_type";
const BPF_FILTER: &str = "io_uring_bpf_filter.flags";

table! {
    /// Numbers that stand where a slot or a descriptor is expected, and mean neither.
    SLOT_VALUES: Codes, "slot value", "IORING_";
    IORING_REGISTER_FILES_SKIP = -2_i32 as u32, "5.12", UPDATED_FD, "leave this slot as it is";
    IORING_FILE_INDEX_ALLOC    = u32::MAX,      "5.19", FILE_INDEX, "let the kernel pick an empty slot";
}

table! {
    /// What `IORING_REGISTER_PROBE` says about an operation.
    PROBE_FLAGS: Flags, "probe flag", "IO_URING_OP_";
    IO_URING_OP_SUPPORTED = 1 << 0, "5.6", PROBE, "the kernel has this operation";
}

table! {
    /// What `IORING_REGISTER_RESTRICTIONS` can allow or demand.
    RESTRICTIONS: Codes, "restriction", "IORING_RESTRICTION_";
    IORING_RESTRICTION_REGISTER_OP        = 0, "5.10", RESTRICTION, "allow a register call";
    IORING_RESTRICTION_SQE_OP             = 1, "5.10", RESTRICTION, "allow an operation";
    IORING_RESTRICTION_SQE_FLAGS_ALLOWED  = 2, "5.10", RESTRICTION, "allow these flags of entries";
    IORING_RESTRICTION_SQE_FLAGS_REQUIRED = 3, "5.10", RESTRICTION, "demand these flags of every entry";
}

table! {
    /// The kinds of workers that `IORING_REGISTER_IOWQ_MAX_WORKERS` limits.
    WORKER_KINDS: Codes, "worker kind", "IO_WQ_";
    IO_WQ_BOUND   = 0, "5.15", WORKERS, "for what ends soon, such as reads of files";
    IO_WQ_UNBOUND = 1, "5.15", WORKERS, "for what may never end, such as reads of sockets";
}

table! {
    /// Where the memory of a region comes from (`IORING_REGISTER_MEM_REGION` and others).
    REGION_TYPES: Flags, "region type", "IORING_MEM_REGION_TYPE_";
    IORING_MEM_REGION_TYPE_USER = 1 << 0, "6.13", REGION, "the program brings the memory; otherwise the kernel does";
}

table! {
    /// What the memory of `IORING_REGISTER_MEM_REGION` is for.
    REGION_USES: Flags, "region use", "IORING_MEM_REGION_";
    IORING_MEM_REGION_REG_WAIT_ARG = 1 << 0, "6.13", REGION_USE, "arguments of waits: IORING_ENTER_EXT_ARG_REG";
}

table! {
    /// What an argument of a wait has, in registered memory.
    WAIT_ARGUMENT_FLAGS: Flags, "wait argument flag", "IORING_REG_WAIT_";
    IORING_REG_WAIT_TS = 1 << 0, "6.13", WAIT, "the wait has a timeout: ts";
}

table! {
    /// What `IORING_REGISTER_NAPI` does.
    NAPI_COMMANDS: Codes, "napi command", "IO_URING_NAPI_";
    IO_URING_NAPI_REGISTER_OP   = 0, "6.13", NAPI, "poll, and track queues as op_param says";
    IO_URING_NAPI_STATIC_ADD_ID = 1, "6.13", NAPI, "poll the queue op_param too";
    IO_URING_NAPI_STATIC_DEL_ID = 2, "6.13", NAPI, "poll the queue op_param no longer";
}

table! {
    /// How `IORING_REGISTER_NAPI` knows which queues of network cards to poll.
    NAPI_TRACKING: Codes, "napi tracking", "IO_URING_NAPI_TRACKING_";
    IO_URING_NAPI_TRACKING_DYNAMIC  = 0,   "6.13", NAPI_PARAM, "those that the ring's sockets use";
    IO_URING_NAPI_TRACKING_STATIC   = 1,   "6.13", NAPI_PARAM, "those that the program names";
    IO_URING_NAPI_TRACKING_INACTIVE = 255, "6.13", NAPI_PARAM, "none: polling is off";
}

table! {
    /// What `IORING_REGISTER_QUERY` can be asked (`linux/io_uring/query.h`).
    QUERIES: Codes, "query operation", "IO_URING_QUERY_";
    IO_URING_QUERY_OPCODES    = 0, "6.18", QUERY, "how many operations, and which flags and features";
    IO_URING_QUERY_ZCRX       = 1, "6.19", QUERY, "what zero-copy receive can do";
    IO_URING_QUERY_SCQ        = 2, "6.19", QUERY, "how large and aligned the rings' header is";
    IO_URING_QUERY_ZCRX_EVENT = 3, "7.2",  QUERY, "which events zero-copy receive reports";
}

table! {
    /// What `IORING_REGISTER_BPF_FILTER` does (`linux/io_uring/bpf_filter.h`).
    BPF_COMMANDS: Codes, "bpf command", "IO_URING_BPF_CMD_";
    IO_URING_BPF_CMD_FILTER = 1, "7.0", BPF, "add a filter for one operation";
}

table! {
    /// The flags of a filter.
    BPF_FILTER_FLAGS: Flags, "bpf filter flag", "IO_URING_BPF_FILTER_";
    IO_URING_BPF_FILTER_DENY_REST = 1 << 0, "7.0", BPF_FILTER, "deny every operation without a filter";
    IO_URING_BPF_FILTER_SZ_STRICT = 1 << 1, "7.0", BPF_FILTER, "refuse a filter made for another size of data";
}
