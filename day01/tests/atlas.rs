//! The entries of the atlas, run as their reader runs them.

use std::process::Command;

use common::catalog::{self, Table};
use testkit::atlas::{Atlas, complaints};
use testkit::{as_ordinary_user, limit_locked_memory};

/// The tables whose every name must be shown by an entry.
const TABLES: &[&Table] = &[
    &catalog::OPERATIONS,
    &catalog::ENTRY_FLAGS,
    &catalog::ENTER_FLAGS,
    &catalog::COMPLETION_FLAGS,
    &catalog::ACCEPT_FLAGS,
    &catalog::SEND_RECV_FLAGS,
    &catalog::POLL_FLAGS,
    &catalog::TIMEOUT_FLAGS,
    &catalog::CANCEL_FLAGS,
    &catalog::MSG_RING_COMMANDS,
    &catalog::MSG_RING_FLAGS,
    &catalog::NOP_FLAGS,
    &catalog::FSYNC_FLAGS,
    &catalog::INSTALL_FLAGS,
    &catalog::URING_CMD_FLAGS,
    &catalog::SOCKET_COMMANDS,
    &catalog::TIMESTAMP_FLAGS,
    &catalog::NOTIFICATION_FLAGS,
    &catalog::SPLICE_SLOT_FLAGS,
    &catalog::RW_ATTRIBUTES,
    &catalog::SLOT_VALUES,
    &catalog::borrowed::RENAME_FLAGS,
    &catalog::borrowed::AT_FLAGS,
    &catalog::borrowed::RESOLVE_FLAGS,
    &catalog::borrowed::XATTR_FLAGS,
    &catalog::borrowed::FILE_ADVICE,
    &catalog::borrowed::MEMORY_ADVICE,
    &catalog::borrowed::SPLICE_FLAGS,
    &catalog::borrowed::WAIT_TARGETS,
    &catalog::borrowed::WAIT_FLAGS,
    &catalog::borrowed::FUTEX_SIZES,
    &catalog::borrowed::FUTEX_FLAGS,
    &catalog::borrowed::EPOLL_CTL_COMMANDS,
    &catalog::borrowed::DEVICE_COMMANDS,
    &catalog::borrowed::FUSE_COMMANDS,
];

/// What day 2's atlas shows, on rings of its own.
const OF_DAY_2: [&str; 2] = ["IORING_CQE_F_SKIP", "IORING_CQE_F_32"];

fn atlas() -> Atlas {
    Atlas("atlas")
}

#[test]
fn every_name_of_the_catalogue_is_shown() {
    let complaints = complaints(&atlas().entries(), TABLES, &OF_DAY_2);
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

#[test]
fn an_unknown_name_is_wrong_usage() {
    let output = atlas().command(&["nop", "nope"]).output().expect("the atlas starts");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    let list = "there is no entry \"nope\"; `cargo run -p day01 --example atlas` lists them";
    assert!(error.contains(list), "{error}");
    assert!(output.stdout.is_empty(), "nothing is shown before all names are understood");
}

#[test]
fn a_folder_that_cannot_be_used_is_explained() {
    if !testkit::io_uring_or_skip("a_folder_that_cannot_be_used_is_explained") {
        return;
    }
    let mut command = atlas().command(&["fsync"]);
    let output = command.env("TMPDIR", "/dev/null").output().expect("the atlas starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).replace("\n     ", "");
    assert!(text.contains("`TMPDIR=FOLDER` before the command"), "{text}");
}

#[test]
fn too_few_descriptors_are_explained() {
    if !testkit::io_uring_or_skip("too_few_descriptors_are_explained") {
        return;
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 6; exec \"$@\"", "sh"]);
    let command = atlas().command(&["splice"]);
    let output = shell.arg(command.get_program()).args(command.get_args()).output();
    let output = output.expect("the shell starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("ulimit -n"), "{text}");
}
