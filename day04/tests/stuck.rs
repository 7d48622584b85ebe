//! `beyond/stuck.rs`: it is stuck as the chapter *Looking inside* says, and looks so from outside.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use testkit::{PATIENCE, example, holds_within, io_uring_or_skip, output_within, skipped};

fn program(arguments: &[&str]) -> Command {
    let mut command = example("stuck");
    command.args(arguments);
    command
}

/// A program that is stuck, ended when dropped.
struct Stuck(Child);

impl Stuck {
    /// What the kernel reports about its ring, as soon as it has one.
    fn fdinfo(&self) -> Option<String> {
        let folder = PathBuf::from(format!("/proc/{}/fdinfo", self.0.id()));
        let texts =
            fs::read_dir(folder).ok()?.flatten().map(|file| fs::read_to_string(file.path()));
        texts.flatten().find(|text| text.contains("SqMask"))
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_message_comes_if_nothing_is_wrong() {
    let test = "the_message_comes_if_nothing_is_wrong";
    if !io_uring_or_skip(test) {
        return;
    }
    let output = output_within(program(&[]), PATIENCE).unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("the message is \"hello\"\n"), "{text}");
}

#[test]
fn each_way_gives_up_in_the_end() {
    let test = "each_way_gives_up_in_the_end";
    if !io_uring_or_skip(test) {
        return;
    }
    for way in ["unsubmitted", "deferred", "slot", "overflow"] {
        let output = output_within(program(&[way, "--for", "1"]), PATIENCE).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{way}: {error}");
        if error.contains("DEFER_TASKRUN") || error.contains("6.1") {
            skipped(test, "this kernel has no DEFER_TASKRUN");
            continue;
        }
        assert_eq!(error, "stuck: no message in 1 seconds\n", "{way}");
    }
}

#[test]
fn fdinfo_gives_each_way_away() {
    let test = "fdinfo_gives_each_way_away";
    if !io_uring_or_skip(test) {
        return;
    }
    for (way, needs, signs) in [
        ("unsubmitted", "SQEs:\t", &["SqTail:\t1\n", "SqHead:\t0\n", "SQEs:\t1\n"][..]),
        ("slot", "PollList:", &["UserFiles:\t1\n", "  op=27, "]),
        ("overflow", "CqOverflowList:", &["CqOverflowList:\n  user_data=7, res=5, flags=0\n"]),
    ] {
        let stuck = Stuck(program(&[way]).spawn().unwrap());
        let mut last = String::new();
        let shows = holds_within(PATIENCE, || {
            last = stuck.fdinfo().unwrap_or_default();
            let unknown = !last.is_empty() && !last.contains(needs);
            unknown || signs.iter().all(|sign| last.contains(sign))
        });
        assert!(shows, "{way}: {signs:?}\n{last}");
        if !last.contains(needs) {
            skipped(test, format!("the fdinfo of this kernel has no {needs}"));
        }
    }
}
