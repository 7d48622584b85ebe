//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use super::debian;

/// Boot other kernels under emulation and run the days on them
///
/// Needs qemu, and Debian's archive or kernel images of your own. Neither root nor KVM is
/// needed. Exit code 0: every kernel and every day did what the catalogue and the fallback
/// rules predict. 1: something differs, and is named.
#[derive(Parser)]
#[command(name = "kernels", bin_name = "cargo xtask kernels")]
pub struct Options {
    /// Boot these kernels (bzImage) instead of Debian's 5.10, 6.1, 6.12 and newest
    #[arg(long = "image", value_name = "FILE", num_args = 1.., conflicts_with = "fetch")]
    pub images: Vec<PathBuf>,

    /// Fetch Debian's kernels again, even those that are here already
    #[arg(long)]
    pub fetch: bool,

    /// Check the exercises' starters and solutions there too; this takes some minutes for each
    /// kernel
    #[arg(long)]
    pub exercises: bool,

    /// Show the atlas there too, as root, with an NVMe disk that the emulator provides
    #[arg(long)]
    pub atlas: bool,

    /// Ask the questions of the book's chapters there too, as root (the examples of day04 that are
    /// named …_answers), and with --record on this machine's kernel; a difference from the
    /// recordings in book/answers is a failure
    #[arg(long)]
    pub answers: bool,

    /// Write what the kernels reported into the repository, for tests and the book
    #[arg(long)]
    pub record: bool,

    /// How long one boot may take with the days; --exercises allows ten times as long, and --atlas
    /// and --answers each add this time once more
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub deadline: u64,

    /// Boot only this kernel, and run a command of the book there: `--on 6.1 -- cargo run -p day01`
    #[arg(long, value_name = "KERNEL", requires = "command", conflicts_with_all = ["images", "exercises", "answers", "record"],
        value_parser = PossibleValuesParser::new(debian::KERNELS.iter().map(|it| it.name)))]
    pub on: Option<String>,

    /// With --on: write its rings to FILE, as `cargo xtask trace --recording` does
    #[arg(long, value_name = "FILE", requires = "on")]
    pub recording: Option<PathBuf>,

    /// With --on: the command
    #[arg(last = true, value_name = "COMMAND", requires = "on")]
    pub command: Vec<String>,

    /// Used in the booted kernel itself
    #[arg(long, hide = true)]
    pub inside: bool,
}

impl Options {
    /// Whether the atlas is packed.
    pub fn atlas(&self) -> bool {
        self.atlas || self.command.iter().any(|word| word == "atlas")
    }
}
