//! The rules against the kernel that the test runs on.

use std::process::Command;

use nix::sys::resource::setrlimit;

use super::*;
use crate::catalog::Kernel;
use crate::environment::Environment;
use crate::ring::build_best;
use testkit::{io_uring_or_skip, skipped};

/// Every flag but CLAMP, which is about sizes.
const ALL: SetupFlags = SetupFlags {
    clamp: false,
    submit_all: true,
    coop_taskrun: true,
    single_issuer: true,
    defer_taskrun: true,
    no_sqarray: true,
};

/// Whether the kernel and [`broken_rule`] agree about a ring whose flags the kernel knows.
#[track_caller]
fn agree(options: &RingOptions, entries: u32, flags: SetupFlags) {
    let rule = broken_rule(options, entries, flags);
    match build(options, entries, flags) {
        Ok(_) => assert_eq!(rule, None, "granted: {options:?} {entries} {flags:?}"),
        refused @ Err(_) if is_invalid(&refused) => {
            assert!(rule.is_some(), "EINVAL without a rule: {options:?} {entries} {flags:?}");
        }
        // An old kernel may want privileges for a poller or count memory. It looks at the
        // rules first, except at the one about CPUs.
        Err(error) => assert!(
            matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOMEM))
                && (rule.is_none() || options.sq_cpu.is_some()),
            "{error}: {options:?} {entries} {flags:?}"
        ),
    }
}

/// Pitfall 21 of the book.
#[test]
fn pitfall_21_the_kernel_has_these_rules_about_sizes() {
    if !io_uring_or_skip("pitfall_21_the_kernel_has_these_rules_about_sizes") {
        return;
    }
    let too_many = [MAX_CQ_ENTRIES, MAX_CQ_ENTRIES + 1, u32::MAX];
    let completions =
        [0, 1, 2, 3, 4, 5, 8, MAX_ENTRIES, MAX_ENTRIES - 1].into_iter().chain(too_many);
    let completions: Vec<_> = completions.map(Some).chain([None]).collect();
    for entries in [0, 1, 2, 3, 4, 5, 7, MAX_ENTRIES, MAX_ENTRIES + 1, u32::MAX] {
        for cq_entries in &completions {
            for clamp in [false, true] {
                let options = RingOptions { cq_entries: *cq_entries, ..Default::default() };
                agree(&options, entries, SetupFlags { clamp, ..Default::default() });
            }
        }
    }
}

/// Pitfall 20 of the book.
#[test]
fn pitfall_20_the_kernel_has_these_rules_about_flags() {
    if !io_uring_or_skip("pitfall_20_the_kernel_has_these_rules_about_flags") {
        return;
    }
    let cpus: Vec<_> = [None, free_cpu(), Some(4096), Some(u32::MAX)].into_iter().collect();
    let unknown = unknown_flags(ALL);
    let knows = |name: &str| !unknown.contains(&name);
    for bits in 0..1 << 7 {
        let on = |bit: u32| bits >> bit & 1 == 1;
        let flags = SetupFlags {
            clamp: on(0),
            submit_all: on(1) && knows("IORING_SETUP_SUBMIT_ALL"),
            coop_taskrun: on(2) && knows("IORING_SETUP_COOP_TASKRUN"),
            single_issuer: on(3) && knows("IORING_SETUP_SINGLE_ISSUER"),
            defer_taskrun: on(4) && knows("IORING_SETUP_DEFER_TASKRUN"),
            no_sqarray: on(5) && knows("IORING_SETUP_NO_SQARRAY"),
        };
        for sq_cpu in &cpus {
            agree(&RingOptions { sqpoll: on(6), sq_cpu: *sq_cpu, ..Default::default() }, 1, flags);
        }
    }
}

/// A CPU that a poller may be bound to; `None` if only root may have a poller.
fn free_cpu() -> Option<u32> {
    let bound = |cpu| RingOptions { sqpoll: true, sq_cpu: Some(cpu), ..Default::default() };
    let granted = |cpu: &u32| build(&bound(*cpu), 1, SetupFlags::default()).is_ok();
    environment::online_cpus().into_iter().find(granted)
}

/// The reason for refusing this ring, on a kernel that knows its flags.
fn why(options: &RingOptions, flags: SetupFlags) -> String {
    broken_rule(options, options.entries.unwrap_or(1), flags).expect("it breaks a rule").0
}

#[test]
fn a_rule_is_named_by_what_it_forbids() {
    let none = SetupFlags::default();
    let sized =
        |entries, cq| RingOptions { entries: Some(entries), cq_entries: cq, ..Default::default() };
    assert!(why(&sized(0, None), none).contains("1 to 32768"));
    assert!(why(&sized(32769, None), none).contains("1 to 32768"));
    assert!(why(&sized(8, Some(0)), none).contains("1 to 65536"));
    assert!(why(&sized(8, Some(65537)), none).contains("1 to 65536"));
    assert!(why(&sized(9, Some(8)), none).contains("smaller than the submission queue"));

    let plain = RingOptions::default();
    let sqpoll = RingOptions { sqpoll: true, ..plain.clone() };
    let defer = SetupFlags { defer_taskrun: true, single_issuer: true, ..none };
    assert!(why(&sqpoll, defer).contains("SQPOLL and DEFER_TASKRUN"));
    assert!(why(&sqpoll, SetupFlags { coop_taskrun: true, ..none }).contains("SQPOLL and COOP"));
    let alone = SetupFlags { defer_taskrun: true, ..none };
    assert!(why(&plain, alone).contains("DEFER_TASKRUN needs SINGLE_ISSUER"));
    assert!(why(&RingOptions { sq_cpu: Some(0), ..plain }, none).contains("SQ_AFF"));
    let nowhere = RingOptions { sq_cpu: Some(4096), ..sqpoll };
    assert!(why(&nowhere, none).starts_with("CPU 4096 is not there"));
}

#[test]
fn a_kernel_with_all_flags_knows_them() {
    if !io_uring_or_skip("a_kernel_with_all_flags_knows_them") {
        return;
    }
    let unknown = unknown_flags(SetupFlags { clamp: true, ..ALL });
    let release = environment::kernel_release();
    if Kernel::parse(&release).is_some_and(|kernel| kernel >= Kernel { major: 6, minor: 6 }) {
        assert!(unknown.is_empty(), "Linux {release} and {unknown:?}");
    }
    // The names must be the catalogue's, or the message could not name the version.
    assert!(unknown.iter().all(|name| SETUP_FLAGS.by_name(name).is_some()));
    assert_eq!(unknown_flags(SetupFlags::default()), Vec::<&str>::new());
}

/// Rules that not every machine can break are found by elimination.
#[test]
fn a_refusal_that_breaks_no_rule_is_the_machines() {
    if !io_uring_or_skip("a_refusal_that_breaks_no_rule_is_the_machines") {
        return;
    }
    let none = SetupFlags::default();
    let sqpoll = RingOptions { sqpoll: true, ..Default::default() };
    let not_permitted = io::Error::from_raw_os_error(libc::EPERM);
    let refused = refusal(&sqpoll, 1, none, &not_permitted);
    assert!(refused.why.starts_with("SQPOLL needs CAP_SYS_NICE before Linux 5.13"), "{refused}");
    let refused = refusal(&RingOptions::default(), 1, none, &not_permitted);
    assert!(!refused.why.contains("CAP_SYS_NICE"), "{refused}");

    let Some(cpu) = free_cpu() else { return };
    let bound = RingOptions { sq_cpu: Some(cpu), ..sqpoll };
    let refused = refusal(&bound, 1, none, &io::Error::from_raw_os_error(libc::EINVAL));
    assert!(refused.why.contains(&format!("leaves out CPU {cpu}")), "{refused}");
}

const CHILD: &str = "IOURING_RULES_TEST_CHILD";

/// Not a test: the program that [`a_limit_on_threads_is_named`] starts.
#[test]
fn child_asks_for_a_poller() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    // Root has no such limit. The count is per user, so any other user will do.
    if Environment::read().euid == Some(0) {
        // SAFETY: takes numbers and touches no memory.
        assert_eq!(unsafe { libc::setresuid(61_001, 61_001, 61_001) }, 0);
    }
    setrlimit(Resource::RLIMIT_NPROC, 0, 0).unwrap();
    let (options, none) = (RingOptions { sqpoll: true, ..Default::default() }, Default::default());
    match build(&options, 1, none) {
        Ok(_) => eprintln!("granted"),
        Err(error) => eprintln!("{}", refusal(&options, 1, none, &error)),
    }
    std::process::exit(0);
}

#[test]
fn a_limit_on_threads_is_named() {
    const NAME: &str = "a_limit_on_threads_is_named";
    if !io_uring_or_skip(NAME) {
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "ring::rules::tests::child_asks_for_a_poller", "--nocapture"]);
    let output = command.env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    // A poller is for root up to 5.12; a process with CAP_SYS_RESOURCE has no limit.
    if text.contains("CAP_SYS_NICE") || text.contains("granted") {
        return skipped(NAME, text);
    }
    assert!(text.contains("the kernel refused this ring: EAGAIN"), "{text}");
    assert!(text.contains("RLIMIT_NPROC is 0, for all threads of this user"), "{text}");
}

#[test]
fn the_newest_flag_is_dropped_first() {
    let mut flags = SetupFlags { clamp: false, ..ALL };
    let dropped: Vec<_> = std::iter::from_fn(|| flags.drop_newest()).collect();
    let names = ["NO_SQARRAY", "DEFER_TASKRUN", "SINGLE_ISSUER", "COOP_TASKRUN", "SUBMIT_ALL"];
    assert_eq!(dropped, names.map(|name| format!("IORING_SETUP_{name}")));
    assert_eq!(flags, SetupFlags::default());
}

/// The kernel would accept it silently.
#[test]
fn an_idle_time_without_a_poller_is_refused_where_flags_are_chosen_for_one() {
    let options = RingOptions { sq_idle: Some(20), ..Default::default() };
    let error = build_best(&options, 1).map(drop).expect_err("it does nothing");
    assert!(error.to_string().contains("--sq-idle does nothing without --sqpoll"), "{error}");
}

#[test]
fn numbers_are_printed_as_ranges() {
    assert_eq!(numbers(&[0, 1, 2, 3]), "0-3");
    assert_eq!(numbers(&[0, 2, 3, 8]), "0 2-3 8");
    assert_eq!(numbers(&[]), "");
}
