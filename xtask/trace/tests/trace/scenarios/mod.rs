//! Programs to be traced. Each is this very test executable, started again with
//! `TRACED` naming one of these functions.

mod entries;
mod places;
mod polled;
mod raw;
mod rings;
pub mod shared;
mod signals;
pub mod tasks;

/// Becomes a scenario, if this process was started to be one.
pub fn run_if_asked() {
    let Some(name) = std::env::var_os("TRACED") else { return };
    let scenario = ALL.iter().find(|(known, _)| name == **known);
    scenario.expect("a scenario of that name").1();
    // Do not return to the harness, whose own calls would be in the trace.
    std::process::exit(0);
}

/// The scenarios by name.
pub const ALL: &[(&str, fn())] = &[
    ("nops", entries::nops),
    ("no_ring", || {}),
    ("large", rings::large),
    ("two_rings", rings::two_rings),
    ("registered", rings::registered),
    ("array", rings::array),
    ("threads", tasks::threads),
    ("submits_and_waits", tasks::submits_and_waits),
    ("fork", tasks::fork),
    ("hang", tasks::hang),
    ("inherited", tasks::inherited),
    ("sqpoll", polled::sqpoll),
    ("sqpoll_forced", polled::sqpoll_forced),
    ("sqpoll_path", polled::sqpoll_path),
    ("sqpoll_flood", polled::sqpoll_flood),
    ("overflow", rings::overflow),
    ("interrupted", signals::interrupted),
    ("not_interrupted", signals::not_interrupted),
    ("interrupted_by_whom", signals::interrupted_by_whom),
    ("iopoll", signals::iopoll),
    ("rebind", rings::rebind),
    ("links", entries::links),
    ("garbage", entries::garbage),
    ("garbled_tail", rings::garbled_tail),
    ("timeouts", places::timeouts),
    ("places", places::places),
    ("files", places::files),
    ("forced", places::forced),
    ("talk", places::talk),
    ("same_user_data", entries::same_user_data),
    ("own_memory", rings::own_memory),
    ("resize", rings::resize),
    ("unreadable", entries::unreadable),
    ("refused", rings::refused),
    ("fifo", entries::fifo),
    ("bundle", entries::bundle),
    ("status", || std::process::exit(7)),
];
