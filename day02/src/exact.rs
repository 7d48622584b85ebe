//! Exactly the ring that the command line asks for.

use anyhow::Result;
use common::ring::{self, Granted, RingOptions};

use crate::report::{Parameters, Report, Step};
use crate::steps;
use crate::{ENTRIES, Options};

// ANCHOR: exact
/// Sets the ring up, sends a NOP through it, and registers what was asked for.
///
/// # Errors
/// A refusal, with the rule that the kernel refused it by.
pub fn ring(options: &Options) -> Result<Report> {
    let asked = &options.ring;
    let mut ring = ring::build(asked, ENTRIES, options.flags)
        .map_err(|error| ring::refusal(asked, ENTRIES, options.flags, &error))?;
    let granted = Granted::of(&ring);

    let mut step = Step::new("This ring");
    let entries = asked.entries.unwrap_or(ENTRIES);
    step.ask(format!("{entries} entries"), granted.sq_entries.to_string());
    let completions = asked.cq_entries.map_or("twice as many".to_string(), |size| size.to_string());
    step.ask(format!("{completions} completions"), granted.cq_entries.to_string());
    poller(&mut step, asked);
    let parameters = Parameters::of(&granted);
    let flags = match parameters.flags.as_slice() {
        [] => "none".to_string(),
        flags => flags.join(", "),
    };
    step.ask("flags", flags);
    let enters = steps::nop(&mut ring)?;
    let woken = if asked.sqpoll && enters > 0 { "the thread slept: woken, and " } else { "" };
    step.submit("a NOP", enters, format!("{woken}completed"));
    if let Some(slots) = options.slots {
        ring::register_slots(&ring.submitter(), slots)?;
        step.ask(format!("{slots} empty slots"), "registered");
    }
    if options.register_ring_fd {
        steps::show_registered_ring(&mut step, &mut ring)?;
    }
    Ok(Report::new(Some(parameters), vec![step], granted.features))
}
// ANCHOR_END: exact

/// What is asked of the poller. The kernel takes an idle time without SQPOLL, and does
/// nothing with it.
fn poller(step: &mut Step, asked: &RingOptions) {
    match (asked.sqpoll, asked.sq_idle) {
        (true, None | Some(0)) => step.ask("sq_thread_idle 0", "1000 ms, the kernel's own"),
        (true, Some(idle)) => step.ask(format!("sq_thread_idle {idle}"), format!("{idle} ms")),
        (false, Some(idle)) => step.ask(
            format!("sq_thread_idle {idle}"),
            "nothing: without SQPOLL no thread is there to sleep",
        ),
        (false, None) => {}
    }
    if let Some(cpu) = asked.sq_cpu {
        step.ask(format!("sq_thread_cpu {cpu}"), format!("the thread stays on CPU {cpu}"));
    }
}
