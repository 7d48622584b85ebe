//! The tools that the entries of the atlas are written with.
//!
//! The atlas shows each part of io_uring's interface live, each in its own file: the operations in
//! `day01/atlas`, setup flags, register calls and features in `day02/atlas`. An [`Entry`] names
//! what it shows and has a function that shows it on a [`Page`]: it asks the kernel, looks at the
//! effect by other means, and makes the usual mistakes.
//! [`main`] is the command line of both examples.

mod answer;
mod ask;
mod buffers;
pub mod nvme;
pub mod own_ring;
mod page;
pub mod raw;
mod recording;
mod report;
mod run;
mod scratch;
mod shortage;

pub use anyhow::Result;

pub use self::answer::{Answer, Completion};
pub use self::ask::{Ask, Started};
pub use self::buffers::BufferRing;
pub use self::page::Page;
pub use self::recording::{Made, Recorded, Recording};
pub use self::report::{Kind, LeftOut, Report, Row, Where};
pub use self::run::main;
pub use self::scratch::Scratch;

use std::fs::File;

use common::catalog::{self, Kernel};
use common::environment::kernel_release;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

/// One part of the interface, shown live.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The names of the catalogue that it shows. The first gives the entry its name.
    pub shows: &'static [&'static str],
    /// Shows it on a page.
    pub show: fn(&mut Page) -> Result<()>,
}

/// Entries that belong together: a folder of the atlas.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The folder's name.
    pub name: &'static str,
    /// Its entries, one file each.
    pub entries: &'static [Entry],
}

/// A pipe: the end for reading, and the end for writing.
///
/// # Errors
/// If the process may have no more descriptors.
pub fn pipe() -> Result<(File, File)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    Ok((reader.into(), writer.into()))
}

/// Whether this kernel's release is older than one such as `6.17`: for features without a name in
/// the catalogue, whose absence no error shows.
pub fn is_older_than(release: &str) -> bool {
    Kernel::parse(&kernel_release()) < Kernel::parse(release)
}

impl Entry {
    /// Its name on the command line: `fsync` for `IORING_OP_FSYNC`, `pbuf_ring` for
    /// `IORING_REGISTER_PBUF_RING`.
    pub fn name(&self) -> String {
        let short = self.fact().short;
        short.strip_prefix("REGISTER_").unwrap_or(short).to_lowercase()
    }

    /// The catalogue's line about the first name that it shows.
    ///
    /// # Panics
    /// If the catalogue has no such name. A test asks every entry.
    pub fn fact(&self) -> &'static catalog::Entry {
        let name = self.shows.first().copied().unwrap_or("nothing");
        catalog::find(name).unwrap_or_else(|| panic!("the catalogue has no {name}"))
    }
}
