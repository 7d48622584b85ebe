//! Exactly the ring that the command line asks for.

use anyhow::Result;
use common::ring::{self, Granted, RingOptions, SetupFlags};
use io_uring::{Builder, IoUring};

use crate::report::{Parameters, Report, Section};
use crate::{Options, steps};

/// Submission queue entries, unless `--entries` says otherwise.
const ENTRIES: u32 = 8;

/// Sets the ring up, sends a NOP through it, and registers what was asked for.
///
/// # Errors
/// A refusal, with the rule that the request breaks.
pub fn ring(options: &Options) -> Result<Report> {
    let (asked, flags) = (&options.ring, options.flags);
    let entries = asked.entries.unwrap_or(ENTRIES);
    let builder = builder(asked, flags);
    let mut ring = ring::patiently(asked, entries, flags, || builder.build(entries))
        .map_err(|error| ring::refusal(asked, entries, flags, &error))?;
    let granted = Granted::of(&ring);

    let mut step = Section::new("This ring");
    step.row(format!("{entries} entries"), granted.sq_entries.to_string());
    let completions = asked.cq_entries.map_or("twice as many".to_string(), |size| size.to_string());
    step.row(format!("{completions} completions"), granted.cq_entries.to_string());
    poller(&mut step, asked);
    let parameters = Parameters::of(&granted);
    let flags = match parameters.flags.as_slice() {
        [] => "none".to_string(),
        flags => flags.join(", "),
    };
    step.row("flags", flags);
    let enters = steps::nop(&mut ring)?;
    let woken = if asked.sqpoll && enters > 0 { "the thread slept: woken, and " } else { "" };
    step.row_with_enters("a NOP", enters, format!("{woken}completed"));
    if let Some(slots) = options.slots {
        ring::make_room(slots);
        let registered = ring.submitter().register_files_sparse(slots);
        registered.map_err(|error| ring::table_refusal(slots, &error))?;
        step.row(format!("{slots} empty slots"), "registered");
    }
    if options.register_ring_fd {
        steps::show_registered_ring(&mut step, &mut ring)?;
    }
    Ok(Report::new(Some(parameters), vec![step], granted.features))
}

// ANCHOR: builder
/// Each option with the function of the builder that asks for it.
fn builder(options: &RingOptions, flags: SetupFlags) -> Builder {
    let mut builder = IoUring::builder();
    if let Some(size) = options.cq_entries {
        builder.setup_cqsize(size);
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
    builder
}
// ANCHOR_END: builder

/// What is asked of the poller. The builder sets an idle time only with SQPOLL; without SQPOLL
/// the kernel would accept the time and ignore it.
fn poller(step: &mut Section, asked: &RingOptions) {
    match (asked.sqpoll, asked.sq_idle) {
        (true, None | Some(0)) => step.row("sq_thread_idle 0", "1000 ms, the kernel's own"),
        (true, Some(idle)) => step.row(format!("sq_thread_idle {idle}"), format!("{idle} ms")),
        (false, Some(idle)) => step.row(
            format!("sq_thread_idle {idle}"),
            "nothing: without SQPOLL no thread is there to sleep",
        ),
        (false, None) => {}
    }
    if let Some(cpu) = asked.sq_cpu {
        step.row(format!("sq_thread_cpu {cpu}"), format!("the thread stays on CPU {cpu}"));
    }
}
