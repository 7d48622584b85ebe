//! Why a ring was refused: the rules of `io_uring_setup(2)`, each tried against the kernel
//! in the tests below.

use std::io;

use io_uring::IoUring;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::asked::{MAX_CQ_ENTRIES, MAX_ENTRIES, RingOptions, SetupFlags};
use super::build::build;
use super::memory::locked_memory;
use crate::catalog::SETUP_FLAGS;
use crate::environment::{self, Refusal};

/// A refused setup in words: the rule that the request breaks, or why this machine refuses
/// such a ring, or every ring.
///
/// The kernel answers EINVAL for a broken rule, for an unknown flag and for a CPU that it may not
/// use. So this asks again, for less.
pub fn refusal(
    options: &RingOptions,
    entries: u32,
    flags: SetupFlags,
    error: &io::Error,
) -> Refusal {
    let entries = options.entries.unwrap_or(entries);
    let cause = match error.raw_os_error() {
        Some(libc::EINVAL) => unknown(flags)
            .or_else(|| broken_rule(options, entries, flags))
            .or_else(|| outside_cpuset(options, entries, flags)),
        Some(libc::EPERM) => poller_for_root(options),
        Some(libc::EAGAIN) if options.sqpoll => Some(no_thread()),
        _ => None,
    };
    match cause {
        Some((why, remedy)) => Refusal {
            what: format!("the kernel refused this ring: {}", environment::errno_name(error)),
            why,
            remedy,
        },
        None => {
            let bytes = locked_memory(options, entries, flags);
            environment::explain_memory("io_uring_setup", error, bytes)
        }
    }
}

/// The flags among `asked` that this kernel does not know, by the headers' names. Each is tried on
/// a separate ring.
pub fn unknown_flags(mut asked: SetupFlags) -> Vec<&'static str> {
    let mut unknown = Vec::new();
    for (nth, (asked, name)) in asked.each().into_iter().enumerate() {
        let mut alone = SetupFlags::default();
        *alone.each()[nth].0 = true;
        // The one flag that is never granted alone.
        alone.single_issuer |= alone.defer_taskrun;
        if *asked && is_invalid(&build(&RingOptions::default(), 1, alone)) {
            unknown.push(name);
        }
    }
    unknown
}

fn is_invalid(built: &io::Result<IoUring>) -> bool {
    built.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
}

fn unknown(flags: SetupFlags) -> Option<(String, String)> {
    let names = unknown_flags(flags);
    let entries = names.iter().filter_map(|name| SETUP_FLAGS.by_name(name));
    let came: Vec<_> =
        entries.map(|flag| format!("{} came with Linux {}", flag.short, flag.since)).collect();
    (!names.is_empty()).then(|| {
        (
            format!("{}; this is {}", came.join(", "), environment::kernel_release()),
            format!("without {}, or a later kernel", names.join(" and ")),
        )
    })
}

/// The rule that a request breaks, and what to ask instead. `None` if it breaks no rule.
fn broken_rule(options: &RingOptions, entries: u32, flags: SetupFlags) -> Option<(String, String)> {
    sizes(options.cq_entries, entries, flags.clamp)
        .or_else(|| exclusions(options, flags))
        .map(|(why, remedy)| (why.to_string(), remedy.to_string()))
        .or_else(|| missing_cpu(options.sq_cpu?))
}

type Rule = (&'static str, &'static str);

/// The kernel rounds both sizes up to powers of two before it compares them.
fn sizes(cq_entries: Option<u32>, entries: u32, clamp: bool) -> Option<Rule> {
    let rounded = |size: u32, max: u32| size.min(max).next_power_of_two();
    let sq_size = rounded(entries, MAX_ENTRIES);
    match cq_entries {
        _ if entries == 0 => Some(("a submission queue holds 1 to 32768", "--entries 1 or more")),
        _ if entries > MAX_ENTRIES && !clamp => Some((
            "a submission queue holds 1 to 32768",
            "--entries 32768 or less; day02 has --clamp as well, which cuts it",
        )),
        Some(0) => Some(("a completion queue holds 1 to 65536", "--cq-entries 1 or more")),
        Some(cq) if cq > MAX_CQ_ENTRIES && !clamp => Some((
            "a completion queue holds 1 to 65536",
            "--cq-entries 65536 or less; day02 has --clamp as well, which cuts it",
        )),
        Some(cq) if rounded(cq, MAX_CQ_ENTRIES) < sq_size => Some((
            "the completion queue may not be smaller than the submission queue",
            "more --cq-entries, or fewer --entries",
        )),
        _ => None,
    }
}

fn exclusions(options: &RingOptions, flags: SetupFlags) -> Option<Rule> {
    if options.sqpoll && flags.defer_taskrun {
        Some((
            "SQPOLL and DEFER_TASKRUN exclude each other: the poller does the completion work",
            "one of --sqpoll and --defer-taskrun",
        ))
    } else if options.sqpoll && flags.coop_taskrun {
        Some((
            "SQPOLL and COOP_TASKRUN exclude each other: the poller does the completion work",
            "one of --sqpoll and --coop-taskrun",
        ))
    } else if flags.defer_taskrun && !flags.single_issuer {
        Some(("DEFER_TASKRUN needs SINGLE_ISSUER", "--single-issuer with --defer-taskrun"))
    } else if options.sq_cpu.is_some() && !options.sqpoll {
        Some(("SQ_AFF binds the poller's thread, so it needs SQPOLL", "--sqpoll with --sq-cpu"))
    } else {
        None
    }
}

fn missing_cpu(cpu: u32) -> Option<(String, String)> {
    let online = environment::online_cpus();
    (!online.contains(&cpu)).then(|| {
        (
            format!("CPU {cpu} is not there; those that are online: {}", numbers(&online)),
            "--sq-cpu with one of them".to_string(),
        )
    })
}

/// Numbers as ranges: `0-3 8`.
fn numbers(sorted: &[u32]) -> String {
    let ranges = sorted.chunk_by(|a, b| a + 1 == *b);
    let range = |range: &[u32]| match range {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
    };
    ranges.map(range).collect::<Vec<_>>().join(" ")
}

/// Linux 6.12, and later releases of some older kernels, keep a poller inside the control group's
/// cpuset. No file shows that for all kinds of control groups. If the kernel grants the same ring
/// without the CPU, that was the reason.
fn outside_cpuset(
    options: &RingOptions,
    entries: u32,
    flags: SetupFlags,
) -> Option<(String, String)> {
    let cpu = options.sq_cpu?;
    let anywhere = RingOptions { sq_cpu: None, ..options.clone() };
    build(&anywhere, entries, flags).ok()?;
    Some((
        format!("the cpuset of this process's control group leaves out CPU {cpu}"),
        "--sqpoll without --sq-cpu, or a CPU of `grep Cpus_allowed_list /proc/self/status`"
            .to_string(),
    ))
}

/// Before Linux 5.13 only privileged programs could have a poller. If the kernel grants a ring
/// without one, that was the reason.
fn poller_for_root(options: &RingOptions) -> Option<(String, String)> {
    if !options.sqpoll {
        return None;
    }
    IoUring::new(1).ok()?;
    Some((
        format!(
            "SQPOLL needs CAP_SYS_NICE before Linux 5.13 (CAP_SYS_ADMIN before 5.11), and this \
             is {}",
            environment::kernel_release()
        ),
        "run it as root, or without --sqpoll".to_string(),
    ))
}

fn no_thread() -> (String, String) {
    let limit = getrlimit(Resource::RLIMIT_NPROC).map_or(RLIM_INFINITY, |(soft, _)| soft);
    let allowed = match limit {
        RLIM_INFINITY => "no limit".to_string(),
        limit => limit.to_string(),
    };
    (
        format!(
            "the poller is a thread, and there may be no more of them: RLIMIT_NPROC is {allowed}, \
             for all threads of this user; or `pids.max` of the control group is reached"
        ),
        "`ulimit -u` with a higher number, or without --sqpoll".to_string(),
    )
}

#[cfg(test)]
mod tests;
