//! The entries of the atlas, run as their reader runs them.

use std::process::Command;

use common::catalog::{self, Table};
use testkit::atlas::{Atlas, complaints};
use testkit::{as_ordinary_user, limit_locked_memory};

/// The tables whose every name must be shown by an entry.
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

fn atlas() -> Atlas {
    Atlas("ring_atlas")
}

#[test]
fn every_name_of_the_catalogue_is_shown() {
    let complaints = complaints(&atlas().entries(), TABLES, &[]);
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
