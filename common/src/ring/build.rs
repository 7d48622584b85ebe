//! Asking the kernel for a ring.

use std::io;
use std::thread;
use std::time::Duration;

use io_uring::IoUring;

use super::asked::{RingOptions, SetupFlags};
use super::memory::locked_memory;
use crate::environment::Environment;

/// Sets up exactly this ring (`io_uring_setup(2)`), with `entries` if the options give no number.
/// Errors are the kernel's; [`refusal`](super::refusal) explains them.
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
    if options.disabled {
        builder.setup_r_disabled();
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
    let size = options.entries.unwrap_or(entries);
    patiently(options, entries, flags, || builder.build(size))
}

/// Calls `build`, which sets this ring up, and calls it again while memory is about to be freed.
///
/// A ring that was closed counts against RLIMIT_MEMLOCK for some milliseconds more, until the
/// kernel has taken it down. So a ring that the limit allows is asked for again for a second.
pub fn patiently(
    options: &RingOptions,
    entries: u32,
    flags: SetupFlags,
    build: impl Fn() -> io::Result<IoUring>,
) -> io::Result<IoUring> {
    let mut patience = 100;
    loop {
        match build() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && patience > 0 => {
                let allowed = Environment::read().locked_memory_limit().unwrap_or(0);
                if locked_memory(options, entries, flags) > allowed {
                    return Err(error);
                }
                patience -= 1;
                thread::sleep(Duration::from_millis(10));
            }
            built => return built,
        }
    }
}
