//! `cargo xtask kernels`: the days on other kernels, booted under emulation.
//!
//! Builds the days statically, packs them into an initramfs with this tool as the first
//! process, boots each kernel, runs the days inside as `cargo xtask run` does, and compares
//! what they and the kernel said with what was expected. From the outside in:
//!
//! - [`table`]: kernel by day, which is what is printed;
//! - [`predict`]: what a kernel should say, and where it differs; [`keep`] keeps what it said;
//! - [`debian`] fetches kernels, [`image`] reads which release one is, [`programs`] builds the days
//!   and [`initramfs`] packs them, [`boot`] starts qemu, [`console`] reads what comes out;
//! - [`inside`]: the first process of the booted kernel; [`facts`] and [`query`] ask the kernel,
//!   [`one`] is a single command of the book, [`outcome`] is the result of the days, [`atlas`] what
//!   was shown of the atlas, [`answers`] what the kernels answered to the programs of the chapters.

mod answers;
mod atlas;
mod boot;
mod console;
mod debian;
mod facts;
mod image;
mod initramfs;
mod inside;
mod keep;
mod one;
mod options;
mod outcome;
mod predict;
mod programs;
mod query;
mod table;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use common::environment;
use common::text::{WIDTH, wrap};
use nix::fcntl::{Flock, FlockArg};

use self::answers::OfKernel;
use self::boot::Boot;
use self::debian::Wanted;
pub use self::options::Options;
use self::outcome::Answers;
use self::programs::Places;
use self::table::Row;
use toolbox::debian::Archive;

/// Boots the kernels and reports the results.
pub fn main(options: &Options) -> ExitCode {
    let result = if options.inside { inside::run().map(|()| true) } else { run(options) };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => environment::report("xtask kernels", Err(error)),
    }
}

/// A kernel to boot.
struct Kernel {
    /// The name of its row until its release is known.
    name: String,
    /// Its image, or why it is missing.
    image: Result<PathBuf>,
}

fn run(options: &Options) -> Result<bool> {
    if !cfg!(target_arch = "x86_64") {
        bail!("this boots kernels of x86-64 with programs built here, so it runs on x86-64 only");
    }
    boot::look_for_qemu()?;
    if options.answers {
        boot::look_for_mkfs()?;
    }
    let command = match options.on {
        Some(_) => one::program(&options.command)?,
        None => Vec::new(),
    };
    let places = programs::places()?;
    fs::create_dir_all(&places.cache)
        .with_context(|| format!("making {}", places.cache.display()))?;
    // Another run would overwrite the initramfs and the disk: wait for its end.
    let folder = fs::File::open(&places.cache).context("opening the folder of the kernels")?;
    let _alone = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let mut kernels = kernels(options, &places)?;

    progress("building the days statically, for an initramfs")?;
    let initramfs = programs::initramfs_path(&places.cache);
    fs::write(&initramfs, programs::initramfs(&places, options, &command)?)
        .with_context(|| format!("writing {}", initramfs.display()))?;

    match options.on {
        Some(_) => run_one(kernels.swap_remove(0), &places, options),
        None => run_all(kernels, &places, options),
    }
}

/// Runs the command of `--on`.
fn run_one(kernel: Kernel, places: &Places, options: &Options) -> Result<bool> {
    let boot = booted(&kernel.image?, places, options)?;
    if let Some(trouble) = boot.trouble {
        bail!(trouble);
    }
    one::tell(&boot.console, options.recording.as_deref())
}

/// Compares what all of them said with what was expected.
fn run_all(kernels: Vec<Kernel>, places: &Places, options: &Options) -> Result<bool> {
    let mut asked = Vec::new();
    if options.answers {
        progress("asking the kernel of this machine")?;
        let programs = programs::answers_programs(places);
        let (workspace, folder) = (&places.workspace, places.cache.join("answers"));
        asked.extend(answers::of_this_machine(workspace, &folder, &programs, options.record)?);
    }
    let mut rows = Vec::new();
    for kernel in kernels {
        let row = boot_one(kernel, places, options)?;
        if let (Ok(answers), true) = (&row.result, options.record) {
            for path in keep::keep(&places.workspace, answers)? {
                say(&format!("  recorded {}", path.display()))?;
            }
        }
        rows.push(row);
    }
    if options.record {
        let all: Vec<&Answers> = rows.iter().filter_map(|row| row.result.as_ref().ok()).collect();
        if let Some(path) = keep::keep_atlas(&places.workspace, &all)? {
            say(&format!("recorded {}", path.display()))?;
        }
    }
    say(&format!("\n{}", table::render(&rows).trim_end()))?;
    if options.answers {
        let booted = rows.iter().filter_map(|row| row.result.as_ref().ok());
        asked.extend(booted.filter_map(Answers::of_kernel));
    }
    let as_recorded = asked.is_empty() || report_answers(places, options, &asked)?;
    Ok(as_recorded && rows.iter().all(|row| row.differences().is_empty()))
}

/// Prints what the kernels answered differently from the newest one, and what is wrong. Returns
/// whether all is right.
fn report_answers(places: &Places, options: &Options, all: &[OfKernel]) -> Result<bool> {
    let mut problems = Vec::new();
    for of_kernel in all {
        if options.record {
            for path in answers::keep(&places.workspace, of_kernel)? {
                say(&format!("recorded {}", path.display()))?;
            }
        }
        problems.extend(answers::problems(&places.workspace, of_kernel, !options.record)?);
    }
    say(answers::text(all).trim_end())?;
    if !problems.is_empty() {
        let problems: Vec<_> =
            problems.iter().map(|it| wrap(&format!("  {it}"), WIDTH, 4)).collect();
        say(&format!("\nNot as recorded in book/answers:\n{}", problems.join("\n")))?;
    }
    Ok(problems.is_empty())
}

fn kernels(options: &Options, places: &Places) -> Result<Vec<Kernel>> {
    if !options.images.is_empty() {
        // A wrong file is a typing mistake: all are checked before the first boot.
        let named =
            |path: &PathBuf| Ok(Kernel { name: image::release_of(path)?, image: Ok(path.clone()) });
        return options.images.iter().map(named).collect();
    }
    let is_there = |wanted: &Wanted| !options.fetch && wanted.is_cached(&places.cache);
    let is_wanted = |name: &str| options.on.as_deref().is_none_or(|on| on == name);
    let all: Vec<&Wanted> = debian::KERNELS.iter().filter(|it| is_wanted(it.name)).collect();
    let archive = match all.iter().all(|wanted| is_there(wanted)) {
        true => None,
        false => Some(Archive::find(
            "the kernels 5.10, 6.1, 6.12 and the newest are fetched from Debian's archive",
            "give kernels yourself: cargo xtask kernels --image FILE… (a bzImage, such as a \
             readable copy of /boot/vmlinuz-…), or run this on Debian",
        )?),
    };
    let mut kernels = Vec::new();
    for wanted in all {
        let image = match &archive {
            Some(archive) if !is_there(wanted) => {
                progress(&format!("fetching the kernel {} from Debian", wanted.name))?;
                debian::fetch(archive, wanted, &places.cache)
            }
            _ => Ok(wanted.path(&places.cache)),
        };
        kernels.push(Kernel { name: wanted.name.to_string(), image });
    }
    if kernels.iter().all(|kernel| kernel.image.is_err()) {
        // There is nothing to boot: the first failure says why.
        kernels.swap_remove(0).image?;
    }
    Ok(kernels)
}

fn boot_one(kernel: Kernel, places: &Places, options: &Options) -> Result<Row> {
    let image = match kernel.image {
        Ok(image) => image,
        Err(error) => return Ok(Row { kernel: kernel.name, result: Err(format!("{error:#}")) }),
    };
    let boot = booted(&image, places, options)?;
    let result: Result<Answers, String> = match boot.trouble {
        Some(trouble) => Err(trouble),
        None => outcome::answers(&boot.console).map_err(|error| format!("{error:#}")),
    };
    Ok(Row { kernel: image::release_of(&image)?, result })
}

/// Boots a kernel; once more if it panicked.
fn booted(image: &Path, places: &Places, options: &Options) -> Result<Boot> {
    let release = image::release_of(image)?;
    progress(&format!("booting {release}"))?;
    let started = Instant::now();
    let log = boot::log_of(&places.cache, &release);
    let initramfs = programs::initramfs_path(&places.cache);
    let times = if options.exercises { 10 } else { 1 }
        + u64::from(options.atlas())
        + u64::from(options.answers);
    let deadline = Duration::from_secs(options.deadline * times);
    let disk = (options.atlas() || options.answers).then(|| places.cache.join("disk"));
    let boot_it = || boot::boot(image, &initramfs, disk.as_deref(), &log, deadline);
    let mut boot = boot_it()?;
    if boot.panicked {
        progress("  the kernel panicked; once more")?;
        boot = boot_it()?;
    }
    progress(&format!("  {:.0} s", started.elapsed().as_secs_f64()))?;
    Ok(boot)
}

/// Prints a result.
fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("writing to the standard output")
}

/// Says what is being done.
fn progress(line: &str) -> Result<()> {
    writeln!(io::stderr(), "{line}").context("writing to the standard error")
}
