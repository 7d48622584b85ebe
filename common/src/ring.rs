//! Making a ring: what is asked, what the kernel grants, and what to leave out when it
//! refuses.

use std::io;

use anyhow::{Context, Result};
use io_uring::{IoUring, Submitter};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use crate::environment::{self, Refusal};

/// The sizes and the poller of a ring, as every day's command line takes them.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RingOptions {
    /// Submission queue entries, 1 to 32768; the kernel rounds up to a power of two
    #[arg(long, value_name = "N")]
    pub entries: Option<u32>,

    /// Completion queue entries; without it twice the submission queue
    #[arg(long, value_name = "N")]
    pub cq_entries: Option<u32>,

    /// Let a kernel thread poll the submission queue (burns a core while busy)
    #[arg(long)]
    pub sqpoll: bool,

    /// Milliseconds without work until that thread sleeps; the kernel's default is 1000
    #[arg(long, value_name = "MS", requires = "sqpoll")]
    pub sq_idle: Option<u32>,

    /// The CPU that thread is bound to
    #[arg(long, value_name = "CPU", requires = "sqpoll")]
    pub sq_cpu: Option<u32>,
}

/// The setup flags that tune a ring; each came with a later kernel than the one before.
#[derive(clap::Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetupFlags {
    /// Cut sizes that are too large to the largest allowed (`IORING_SETUP_CLAMP`, 5.6)
    #[arg(long)]
    pub clamp: bool,

    /// Go on submitting after an entry that fails (`IORING_SETUP_SUBMIT_ALL`, 5.18)
    #[arg(long)]
    pub submit_all: bool,

    /// Do not interrupt the program to complete (`IORING_SETUP_COOP_TASKRUN`, 5.19)
    #[arg(long)]
    pub coop_taskrun: bool,

    /// Only one thread submits (`IORING_SETUP_SINGLE_ISSUER`, 6.0)
    #[arg(long)]
    pub single_issuer: bool,

    /// Complete only when the program waits (`IORING_SETUP_DEFER_TASKRUN`, 6.1)
    #[arg(long)]
    pub defer_taskrun: bool,

    /// Leave out the submission queue's index array (`IORING_SETUP_NO_SQARRAY`, 6.6)
    #[arg(long)]
    pub no_sqarray: bool,
}

impl SetupFlags {
    /// What suits one thread that submits, waits and reaps, before the kernel has its say.
    /// A ring with a poller cannot have the two task-run flags: the poller runs the work.
    pub fn best(options: &RingOptions) -> SetupFlags {
        SetupFlags {
            clamp: false,
            submit_all: true,
            coop_taskrun: !options.sqpoll,
            single_issuer: true,
            defer_taskrun: !options.sqpoll,
            no_sqarray: true,
        }
    }

    /// Clears the newest flag that is still set and tells its name; `None` when there is
    /// nothing left to drop. DEFER_TASKRUN needs SINGLE_ISSUER, so it goes first.
    fn drop_newest(&mut self) -> Option<&'static str> {
        let newest_first = [
            (&mut self.no_sqarray, "IORING_SETUP_NO_SQARRAY"),
            (&mut self.defer_taskrun, "IORING_SETUP_DEFER_TASKRUN"),
            (&mut self.single_issuer, "IORING_SETUP_SINGLE_ISSUER"),
            (&mut self.coop_taskrun, "IORING_SETUP_COOP_TASKRUN"),
            (&mut self.submit_all, "IORING_SETUP_SUBMIT_ALL"),
        ];
        for (flag, name) in newest_first {
            if std::mem::take(flag) {
                return Some(name);
            }
        }
        None
    }
}

/// What the kernel wrote back into `struct io_uring_params`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// Submission queue entries, a power of two.
    pub sq_entries: u32,
    /// Completion queue entries, a power of two.
    pub cq_entries: u32,
    /// The setup flags in force (`IORING_SETUP_*`).
    pub flags: u32,
    /// The CPU of the submission queue thread, if `IORING_SETUP_SQ_AFF` is among the flags.
    pub sq_thread_cpu: u32,
    /// Milliseconds until that thread sleeps, if `IORING_SETUP_SQPOLL` is among the flags.
    pub sq_thread_idle: u32,
    /// The features of this kernel (`IORING_FEAT_*`).
    pub features: u32,
}

impl Granted {
    /// Reads the parameters of a ring.
    pub fn of(ring: &IoUring) -> Granted {
        // SAFETY: `Parameters` is documented as a transparent wrapper of the kernel's
        // `struct io_uring_params`, whose first six fields are these u32 (`linux/io_uring.h`).
        // The ring owns it and is borrowed while we copy; no operation writes to it.
        let fields = unsafe { *std::ptr::from_ref(ring.params()).cast::<[u32; 6]>() };
        let [sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features] = fields;
        Granted { sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features }
    }
}

/// Sets up exactly this ring (`io_uring_setup(2)`), with `entries` where the options name
/// none. Errors are the kernel's; [`refusal`] tells what EINVAL means.
pub fn build(options: &RingOptions, entries: u32, flags: SetupFlags) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    if let Some(cq_entries) = options.cq_entries {
        builder.setup_cqsize(cq_entries);
    }
    if options.sqpoll {
        builder.setup_sqpoll(options.sq_idle.unwrap_or(0));
    }
    if let Some(cpu) = options.sq_cpu {
        builder.setup_sqpoll_cpu(cpu);
    }
    if flags.clamp {
        builder.setup_clamp();
    }
    if flags.submit_all {
        builder.setup_submit_all();
    }
    if flags.coop_taskrun {
        builder.setup_coop_taskrun();
    }
    if flags.single_issuer {
        builder.setup_single_issuer();
    }
    if flags.defer_taskrun {
        builder.setup_defer_taskrun();
    }
    if flags.no_sqarray {
        builder.setup_no_sqarray();
    }
    builder.build(options.entries.unwrap_or(entries))
}

/// Sets up a ring with the best flags that this kernel takes, and names those it refused.
///
/// A kernel answers a flag that it does not know with a bare EINVAL and does not say which
/// one it was. So the newest is dropped first, until the kernel agrees.
///
/// # Errors
/// A [`Refusal`] with the cause and the remedy, if no ring can be had.
pub fn build_best(options: &RingOptions, entries: u32) -> Result<(IoUring, Vec<&'static str>)> {
    let mut flags = SetupFlags::best(options);
    let mut dropped = Vec::new();
    loop {
        match build(options, entries, flags) {
            Ok(ring) => return Ok((ring, dropped)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => match flags.drop_newest() {
                Some(name) => dropped.push(name),
                None => return Err(refusal(options, entries, flags, &error).into()),
            },
            Err(error) => return Err(refusal(options, entries, flags, &error).into()),
        }
    }
}

/// A refused setup in words: the rule that was broken, or what keeps this machine from
/// having a ring at all.
pub fn refusal(
    options: &RingOptions,
    entries: u32,
    flags: SetupFlags,
    error: &io::Error,
) -> Refusal {
    match broken_rule(options, options.entries.unwrap_or(entries), flags) {
        Some((why, remedy)) if error.raw_os_error() == Some(libc::EINVAL) => Refusal {
            what: format!("the kernel refused this ring: {}", environment::errno_name(error)),
            why,
            remedy,
        },
        _ => environment::explain("io_uring_setup", error),
    }
}

/// Largest submission queue (`IORING_MAX_ENTRIES`, `io_uring/io_uring.h` in the kernel).
pub const MAX_ENTRIES: u32 = 32768;
/// Largest completion queue (`IORING_MAX_CQ_ENTRIES`).
pub const MAX_CQ_ENTRIES: u32 = 2 * MAX_ENTRIES;

/// The rule of `io_uring_setup(2)` that a request breaks, and what to ask instead.
///
/// `None` if it breaks none that this crate knows: then the kernel lacks one of the flags.
fn broken_rule(options: &RingOptions, entries: u32, flags: SetupFlags) -> Option<(String, String)> {
    let rule = |why: &str, remedy: &str| Some((why.to_string(), remedy.to_string()));
    if entries == 0 {
        return rule("a submission queue has at least one entry", "--entries 1 or more");
    }
    if entries > MAX_ENTRIES && !flags.clamp {
        return rule(
            "a submission queue has at most 32768 entries",
            "--entries 32768 or less, or --clamp to have it cut",
        );
    }
    match options.cq_entries {
        Some(0) => {
            return rule("a completion queue has at least one entry", "--cq-entries 1 or more");
        }
        Some(cq) if cq > MAX_CQ_ENTRIES && !flags.clamp => {
            return rule(
                "a completion queue has at most 65536 entries",
                "--cq-entries 65536 or less, or --clamp to have it cut",
            );
        }
        Some(cq)
            if cq.min(MAX_CQ_ENTRIES).next_power_of_two()
                < entries.min(MAX_ENTRIES).next_power_of_two() =>
        {
            return rule(
                "the completion queue is not smaller than the submission queue",
                "more --cq-entries, or fewer --entries",
            );
        }
        _ => {}
    }
    if options.sqpoll && flags.defer_taskrun {
        return rule(
            "SQPOLL and DEFER_TASKRUN exclude each other: the poller, not the program, runs the completion work",
            "one of --sqpoll and --defer-taskrun",
        );
    }
    if options.sqpoll && flags.coop_taskrun {
        return rule(
            "SQPOLL and COOP_TASKRUN exclude each other: the poller is never interrupted anyway",
            "one of --sqpoll and --coop-taskrun",
        );
    }
    if flags.defer_taskrun && !flags.single_issuer {
        return rule(
            "DEFER_TASKRUN needs SINGLE_ISSUER: completions run in the one thread that submits",
            "--single-issuer with --defer-taskrun",
        );
    }
    match options.sq_cpu {
        Some(_) if !options.sqpoll => {
            rule("SQ_AFF binds the poller's thread, so it needs SQPOLL", "--sqpoll with --sq-cpu")
        }
        Some(cpu) if !environment::online_cpus().contains(&cpu) => Some((
            format!("CPU {cpu} is not there: {} are online, counted from 0", environment::cpus()),
            "--sq-cpu with a number from /sys/devices/system/cpu/online".to_string(),
        )),
        _ => None,
    }
}

/// Registers a table of `slots` empty slots (`IORING_REGISTER_FILES2` with
/// `IORING_RSRC_REGISTER_SPARSE`, Linux 5.19), for operations on direct descriptors.
///
/// # Errors
/// A [`Refusal`]: the kernel is older than 5.19, or RLIMIT_NOFILE is too low even after
/// raising the soft limit as far as the hard one.
pub fn register_slots(submitter: &Submitter<'_>, slots: u32) -> Result<()> {
    make_room(slots)?;
    submitter.register_files_sparse(slots).map_err(|error| {
        match error.raw_os_error() {
            Some(libc::EINVAL) => Refusal {
                what: format!("the kernel refused a sparse table of {slots} slots: EINVAL"),
                why: format!(
                    "sparse tables, and multishot accepts into them, came with Linux 5.19; this is {}",
                    environment::kernel_release()
                ),
                remedy: "a kernel of 5.19 or later; day01 and day02 run on older ones".to_string(),
            },
            Some(libc::EMFILE) => Refusal {
                what: format!("the kernel refused a table of {slots} slots: EMFILE"),
                why: "a table is no larger than RLIMIT_NOFILE, nor than 1048576".to_string(),
                remedy: format!("fewer --slots, or `ulimit -n {slots}` in this shell first"),
            },
            _ => environment::explain("IORING_REGISTER_FILES2", &error),
        }
        .into()
    })
}

/// Raises the soft RLIMIT_NOFILE, which bounds a registered table, to hold `slots` if the
/// hard limit allows. Leaves it alone where it is large enough.
fn make_room(slots: u32) -> Result<()> {
    let needed = u64::from(slots);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("reading RLIMIT_NOFILE")?;
    if soft < needed && hard > soft {
        setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard)
            .context("raising RLIMIT_NOFILE to its hard limit")?;
    }
    Ok(())
}

/// The largest table that this process may register: what the hard RLIMIT_NOFILE allows.
pub fn largest_table() -> u32 {
    /// `IORING_MAX_FIXED_FILES` in the kernel's `io_uring/rsrc.c`.
    const MAX_FIXED_FILES: u64 = 1 << 20;
    let hard = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard);
    hard.min(MAX_FIXED_FILES) as u32
}

/// How large a table to register for `slots` clients and `spare` slots beyond: less spare
/// ones, if RLIMIT_NOFILE leaves no room for them.
///
/// # Errors
/// A [`Refusal`] if not even the slots for clients fit.
pub fn table_size(slots: u32, spare: u32) -> Result<u32> {
    let largest = largest_table();
    if slots > largest {
        return Err(Refusal {
            what: format!("no table of {slots} slots"),
            why: format!("the hard RLIMIT_NOFILE of this process allows {largest}"),
            remedy: format!("--slots {largest} or less, or `ulimit -Hn {slots}` as root first"),
        }
        .into());
    }
    Ok(slots.saturating_add(spare).min(largest))
}

/// A defect that this kernel is known for, in one line.
///
/// The only use that a day makes of the version: whether a *feature* is there is always
/// found out by asking for it.
pub fn known_trouble(release: &str) -> Option<&'static str> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let version: (u32, u32) = (numbers.next()?, numbers.next()?);
    ((6, 6)..(6, 8)).contains(&version).then_some(
        "Linux 6.6.1 to 6.8-rc could hand out wrong descriptors for a multishot accept with \
         DEFER_TASKRUN (liburing issue 1062): keep the kernel up to date",
    )
}
