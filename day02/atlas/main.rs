//! The atlas of rings: each setup flag, register call and feature bit live, in its own file.
//!
//! ```text
//! cargo run -p day02 --example ring_atlas                      the list
//! cargo run -p day02 --example ring_atlas -- cqe32 pbuf_ring   two of them
//! ```

use std::process::ExitCode;

use atlas::Family;

mod features;
mod look;
mod register;
mod setup;

const FAMILIES: &[Family] = &[
    Family { name: "setup", entries: setup::ENTRIES },
    Family { name: "register", entries: register::ENTRIES },
    Family { name: "features", entries: features::ENTRIES },
];

fn main() -> ExitCode {
    atlas::main("day02", "ring_atlas", FAMILIES)
}
