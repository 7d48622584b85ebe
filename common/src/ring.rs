//! Rings: what was asked, what the kernel granted, and why it refused.

mod asked;
mod build;
mod memory;
mod rules;

use std::io;

use anyhow::Result;
use io_uring::{IoUring, Submitter};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use crate::environment::{self, Refusal};

pub use self::asked::{MAX_CQ_ENTRIES, MAX_ENTRIES, RingOptions, SetupFlags, in_words};
pub use self::build::{build, patiently};
pub use self::memory::locked_memory;
pub(crate) use self::memory::whole_pages;
pub use self::rules::{refusal, unknown_flags};

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

/// Sets up a ring with the best flags that this kernel takes, and names those it refused.
///
/// A kernel answers an unknown flag with a bare EINVAL and does not say which flag it was. So the
/// newest is dropped first, until the kernel agrees.
///
/// # Errors
/// A [`Refusal`] with the cause and the remedy, if no ring is available.
pub fn build_best(options: &RingOptions, entries: u32) -> Result<(IoUring, Vec<&'static str>)> {
    if options.sq_idle.is_some() && !options.sqpoll {
        // The kernel would accept it and do nothing, which is not what the user expects.
        return Err(Refusal {
            what: "--sq-idle does nothing without --sqpoll".to_string(),
            why: "it is the time until the poller sleeps, and this ring has no poller".to_string(),
            remedy: "--sqpoll with --sq-idle, or neither".to_string(),
        }
        .into());
    }
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

/// Registers a table of `slots` empty slots, after [`make_room`] for them.
///
/// # Errors
/// See [`table_refusal`].
pub fn register_slots(submitter: &Submitter<'_>, slots: u32) -> Result<()> {
    make_room(slots);
    Ok(submitter.register_files_sparse(slots).map_err(|error| table_refusal(slots, &error))?)
}

/// Explains why the kernel refused a sparse table of `slots` slots (`IORING_REGISTER_FILES2` with
/// `IORING_RSRC_REGISTER_SPARSE`, Linux 5.19): it is older than that, or RLIMIT_NOFILE is too low.
pub fn table_refusal(slots: u32, error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::EINVAL) if slots == 0 => Refusal {
            what: "the kernel refused a table of 0 slots: EINVAL".to_string(),
            why: "a table has at least one slot".to_string(),
            remedy: "--slots 1 or more".to_string(),
        },
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
            why: format!(
                "a table holds at most RLIMIT_NOFILE slots, and at most {MAX_FIXED_FILES}: at most {} here",
                largest_table()
            ),
            remedy: match largest_table() {
                // No limit of the process allows more than the kernel does.
                MAX_FIXED_FILES => format!("--slots {MAX_FIXED_FILES} or less"),
                largest if slots > MAX_FIXED_FILES => format!("--slots {largest} or less"),
                largest => {
                    format!("--slots {largest} or less, or `ulimit -n {slots}` as root first")
                }
            },
        },
        _ => environment::explain("IORING_REGISTER_FILES2", error),
    }
}

/// Raises the soft RLIMIT_NOFILE, which bounds a registered table, to hold `slots` if the
/// hard limit allows. If that fails, the kernel refuses the table.
pub fn make_room(slots: u32) {
    let needed = u64::from(slots);
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        if soft < needed && hard > soft {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard);
        }
    }
}

/// Explains why the kernel refused to register a ring's descriptor
/// (`IORING_REGISTER_RING_FDS`, Linux 5.18): most likely it is older than that.
pub fn ring_fd_refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::EINVAL) => Refusal {
            what: "the kernel refused to register the ring's descriptor: EINVAL".to_string(),
            why: format!("that came with Linux 5.18; this is {}", environment::kernel_release()),
            remedy: "the ring works without it; or a later kernel".to_string(),
        },
        _ => environment::explain("IORING_REGISTER_RING_FDS", error),
    }
}

/// `IORING_MAX_FIXED_FILES` in the kernel's `io_uring/rsrc.c`.
const MAX_FIXED_FILES: u32 = 1 << 20;

/// The largest table that this process may register: what the hard RLIMIT_NOFILE allows.
pub fn largest_table() -> u32 {
    let hard = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard);
    hard.min(MAX_FIXED_FILES.into()) as u32
}

/// How large a table to register for `slots` clients and `spare` slots beyond: with fewer spare
/// slots, if RLIMIT_NOFILE leaves no room for them.
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

/// A known defect of this kernel, in one line.
///
/// The only use that a day makes of the version: a *feature* is always found out by asking for it.
pub fn known_trouble(release: &str) -> Option<&'static str> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let version: (u32, u32) = (numbers.next()?, numbers.next()?);
    ((6, 6)..(6, 8)).contains(&version).then_some(
        "Linux 6.6.1 to 6.8-rc could hand out wrong descriptors for a multishot accept with \
         DEFER_TASKRUN (liburing issue 1062): keep the kernel up to date",
    )
}
