//! The atlas of operations: each one live, in its own file.
//!
//! ```text
//! cargo run -p day01 --example atlas                 the list
//! cargo run -p day01 --example atlas -- fsync nop    two of them
//! ```

use std::process::ExitCode;

use atlas::Family;

mod attributes;
mod buffers;
mod cancel_and_poll;
mod commands;
mod enter;
mod entry_flags;
mod epoll;
mod files;
mod memory;
mod nothing;
mod paths;
mod pipes;
mod rings;
mod slots;
mod sockets;
mod tasks;
mod time;
mod zero_copy;

/// In the order of the book.
const FAMILIES: &[Family] = &[
    Family { name: "nothing", entries: nothing::ENTRIES },
    Family { name: "files", entries: files::ENTRIES },
    Family { name: "paths", entries: paths::ENTRIES },
    Family { name: "attributes", entries: attributes::ENTRIES },
    Family { name: "memory", entries: memory::ENTRIES },
    Family { name: "buffers", entries: buffers::ENTRIES },
    Family { name: "sockets", entries: sockets::ENTRIES },
    Family { name: "zero_copy", entries: zero_copy::ENTRIES },
    Family { name: "time", entries: time::ENTRIES },
    Family { name: "cancel_and_poll", entries: cancel_and_poll::ENTRIES },
    Family { name: "rings", entries: rings::ENTRIES },
    Family { name: "slots", entries: slots::ENTRIES },
    Family { name: "pipes", entries: pipes::ENTRIES },
    Family { name: "tasks", entries: tasks::ENTRIES },
    Family { name: "epoll", entries: epoll::ENTRIES },
    Family { name: "commands", entries: commands::ENTRIES },
    Family { name: "entry_flags", entries: entry_flags::ENTRIES },
    Family { name: "enter", entries: enter::ENTRIES },
];

fn main() -> ExitCode {
    atlas::main("day01", "atlas", FAMILIES)
}
