//! The entries of the atlas, run as their reader runs them.

use std::path::Path;
use std::process::Command;

use common::catalog::{self, Table};
use testkit::atlas::{Atlas, complaints};
use testkit::{as_ordinary_user, limit_locked_memory};

/// What the entries are to show all of.
const TABLES: &[&Table] = &[
    &catalog::SETUP_FLAGS,
    &catalog::FEATURES,
    &catalog::REGISTER_OPERATIONS,
    &catalog::REGISTER_FLAGS,
    &catalog::BUFFER_RING_FLAGS,
    &catalog::RESOURCE_FLAGS,
    &catalog::CLONE_FLAGS,
    &catalog::SQ_RING_FLAGS,
    &catalog::CQ_RING_FLAGS,
    &catalog::MMAP_OFFSETS,
    &catalog::PROBE_FLAGS,
    &catalog::RESTRICTIONS,
    &catalog::WORKER_KINDS,
    &catalog::REGION_TYPES,
    &catalog::REGION_USES,
    &catalog::WAIT_ARGUMENT_FLAGS,
    &catalog::NAPI_COMMANDS,
    &catalog::NAPI_TRACKING,
    &catalog::QUERIES,
    &catalog::BPF_COMMANDS,
    &catalog::BPF_FILTER_FLAGS,
    &catalog::ZCRX_AREA_FLAGS,
    &catalog::ZCRX_REGISTER_FLAGS,
    &catalog::ZCRX_FEATURES,
    &catalog::ZCRX_CONTROLS,
    &catalog::ZCRX_EVENTS,
    &catalog::ZCRX_EVENT_FLAGS,
];

/// What no entry shows yet, a list for each family. It only ever gets shorter.
const MISSING: &[&[&str]] = &[
    // arguments of register calls
    &[
        "IORING_OFF_SQ_RING",
        "IORING_OFF_CQ_RING",
        "IORING_OFF_SQES",
        "IORING_OFF_PBUF_RING",
        "IO_URING_OP_SUPPORTED",
        "IORING_RESTRICTION_REGISTER_OP",
        "IORING_RESTRICTION_SQE_OP",
        "IORING_RESTRICTION_SQE_FLAGS_ALLOWED",
        "IORING_RESTRICTION_SQE_FLAGS_REQUIRED",
        "IO_WQ_BOUND",
        "IO_WQ_UNBOUND",
        "IORING_MEM_REGION_TYPE_USER",
        "IORING_MEM_REGION_REG_WAIT_ARG",
        "IORING_REG_WAIT_TS",
        "IO_URING_NAPI_REGISTER_OP",
        "IO_URING_NAPI_STATIC_ADD_ID",
        "IO_URING_NAPI_STATIC_DEL_ID",
        "IO_URING_NAPI_TRACKING_DYNAMIC",
        "IO_URING_NAPI_TRACKING_STATIC",
        "IO_URING_NAPI_TRACKING_INACTIVE",
        "IO_URING_QUERY_OPCODES",
        "IO_URING_QUERY_ZCRX",
        "IO_URING_QUERY_SCQ",
        "IO_URING_QUERY_ZCRX_EVENT",
        "IO_URING_BPF_CMD_FILTER",
        "IO_URING_BPF_FILTER_DENY_REST",
        "IO_URING_BPF_FILTER_SZ_STRICT",
    ],
    // zero-copy receive
    &[
        "IORING_ZCRX_AREA_DMABUF",
        "ZCRX_REG_IMPORT",
        "ZCRX_REG_NODEV",
        "ZCRX_FEATURE_RX_PAGE_SIZE",
        "ZCRX_FEATURE_EVENT",
        "ZCRX_CTRL_FLUSH_RQ",
        "ZCRX_CTRL_EXPORT",
        "ZCRX_CTRL_ARM_EVENT",
        "ZCRX_EVENT_ALLOC_FAIL",
        "ZCRX_EVENT_COPY",
        "ZCRX_EVENT_DESC_FLAG_STATS",
    ],
];

fn atlas() -> Atlas {
    Atlas::new("ring_atlas", &Path::new(env!("CARGO_MANIFEST_DIR")).join("atlas"))
}

#[test]
fn every_name_of_the_catalogue_is_shown() {
    let complaints = complaints(&atlas().entries(), TABLES, &MISSING.concat());
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_entry_is_shown_or_says_why_not() {
    atlas().each_entry("each_entry_is_shown_or_says_why_not", |_| true);
}

#[test]
fn each_entry_is_shown_to_an_ordinary_user() {
    atlas().each_entry("each_entry_is_shown_to_an_ordinary_user", as_ordinary_user);
}

#[test]
fn each_entry_makes_do_with_a_small_memory_limit() {
    let prepare = |command: &mut Command| {
        limit_locked_memory(command, 8 << 20);
        as_ordinary_user(command)
    };
    atlas().each_entry("each_entry_makes_do_with_a_small_memory_limit", prepare);
}
