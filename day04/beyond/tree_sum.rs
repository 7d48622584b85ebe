//! A checksum for every file under a folder, by a bounded number of worker threads.
//!
//! ```text
//! cargo run -p day04 --example tree_sum -- book/src
//! cargo run -p day04 --example tree_sum -- --workers 2 --files 8 book/src
//! ```
//!
//! Standard output has a line for each file, in the order of their names: CRC-32, length, path.
//! `diff` of two such lists says what differs in two copies of a folder. Standard error says where
//! the operations ran: in the submit, or later, and how many workers there were.
//!
//! A file is a chain of steps, STATX → OPENAT → READ … READ → CLOSE, with one entry in flight. Up
//! to `--files` of them go on at once.
//!
//! What it does not do:
//! - No operation lists a folder (there is no GETDENTS): the names are found by plain calls.
//! - It follows no symbolic links, and leaves out what is no regular file. Opening a FIFO may wait.
//! - A file that is written to meanwhile has the checksum of what was read.

use std::ffi::CString;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use common::text::several;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

mod workers;

/// The most that one READ brings.
const PART: usize = 64 << 10;

/// Prints a checksum for every file under a folder, and says where the work was done
#[derive(Parser)]
struct Options {
    folder: PathBuf,

    /// The most worker threads that the kernel may start, in each of its two pools
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,

    /// How many files are in work at once
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    files: u32,

    /// Give every READ to a worker (`IOSQE_ASYNC`)
    #[arg(long = "async")]
    by_workers: bool,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(&Options::parse()))
}

// ANCHOR: run
fn run(options: &Options) -> Result<()> {
    let mut paths = Vec::new();
    find(&options.folder, &mut paths).with_context(|| options.folder.display().to_string())?;
    paths.sort();
    let (mut ring, missing) = ring::build_best(&RingOptions::default(), options.files)?;
    // Bounded and unbounded: with IOSQE_ASYNC, the READ of a file is in the second pool.
    ring.submitter()
        .register_iowq_max_workers(&mut [options.workers; 2])
        .context("limiting the workers (REGISTER_IOWQ_MAX_WORKERS, Linux 5.15)")?;
    let mut sums = Sums::new(paths, options);
    sums.make(&mut ring)?;
    sums.print(missing.contains(&"IORING_SETUP_DEFER_TASKRUN"), options.workers)
}
// ANCHOR_END: run

/// Adds every name under a folder that is not a folder itself.
fn find(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), paths)?;
        } else {
            paths.push(entry.path());
        }
    }
    Ok(())
}

/// What the entry in flight of a file does.
#[derive(Clone, Copy)]
enum Step {
    Stat,
    Open,
    Read,
    Close,
}

const STEPS: [&str; 4] = ["STATX", "OPENAT", "READ", "CLOSE"];

/// One file in work. What its entry points at is the kernel's until the completion.
struct Place {
    /// Which of the paths it is.
    nth: usize,
    step: Step,
    path: CString,
    statx: MaybeUninit<libc::statx>,
    fd: i32,
    crc: u32,
    length: u64,
    part: [u8; PART],
}

/// The result for a path; `None` until it is known, and if it is no regular file.
type Sum = Option<Result<(u32, u64), i32>>;

struct Sums {
    paths: Vec<PathBuf>,
    results: Vec<Sum>,
    places: &'static mut [Place],
    /// The first path that is not in work yet.
    next: usize,
    in_flight: usize,
    read_flags: Flags,
    /// By step: how many were done when the submit returned, and later.
    done: [[u64; 2]; 4],
    most_workers: usize,
}

impl Sums {
    fn new(paths: Vec<PathBuf>, options: &Options) -> Sums {
        let place = |_| Place {
            nth: 0,
            step: Step::Close,
            path: CString::default(),
            statx: MaybeUninit::uninit(),
            fd: -1,
            crc: 0,
            length: 0,
            part: [0; PART],
        };
        Sums {
            results: (0..paths.len()).map(|_| None).collect(),
            places: forever((0..options.files).map(place).collect::<Vec<_>>()),
            paths,
            next: 0,
            in_flight: 0,
            read_flags: if options.by_workers { Flags::ASYNC } else { Flags::empty() },
            done: [[0; 2]; 4],
            most_workers: 0,
        }
    }

    // ANCHOR: make
    fn make(&mut self, ring: &mut IoUring) -> Result<()> {
        for place in 0..self.places.len() {
            self.add_next_file(ring, place)?;
        }
        while self.in_flight > 0 {
            // Without a wait: what is in the queue now was done inside of this call.
            retry(|| ring.submit())?;
            let later = ring.completion().is_empty();
            if later {
                retry(|| ring.submit_and_wait(1))?;
                self.most_workers = self.most_workers.max(workers::count());
            }
            while let Some(completion) = next_completion(ring) {
                let place = completion.user_data() as usize;
                self.done[self.places[place].step as usize][usize::from(later)] += 1;
                self.in_flight -= 1;
                self.handle(ring, place, completion.result())?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: make

    fn add_next_file(&mut self, ring: &mut IoUring, at: usize) -> Result<()> {
        let Some(path) = self.paths.get(self.next) else { return Ok(()) };
        let place = &mut self.places[at];
        place.path = CString::new(path.as_os_str().as_bytes())?;
        (place.nth, place.crc, place.length) = (self.next, 0, 0);
        self.next += 1;
        self.add(ring, at, Step::Stat)
    }

    fn add(&mut self, ring: &mut IoUring, at: usize, step: Step) -> Result<()> {
        let place = &mut self.places[at];
        place.step = step;
        let (here, path) = (Fd(libc::AT_FDCWD), place.path.as_ptr());
        let entry: Entry = match step {
            Step::Stat => opcode::Statx::new(here, path, place.statx.as_mut_ptr().cast())
                .flags(libc::AT_SYMLINK_NOFOLLOW)
                .mask(libc::STATX_TYPE)
                .build(),
            Step::Open => {
                opcode::OpenAt::new(here, path).flags(libc::O_RDONLY | libc::O_CLOEXEC).build()
            }
            Step::Read => opcode::Read::new(Fd(place.fd), place.part.as_mut_ptr(), PART as u32)
                .offset(place.length)
                .build()
                .flags(self.read_flags),
            Step::Close => opcode::Close::new(Fd(place.fd)).build(),
        };
        self.in_flight += 1;
        // SAFETY: the places are never freed. This one is left alone until `handle`.
        Ok(unsafe { ring.submission().push(&entry.user_data(at as u64)) }?)
    }

    // ANCHOR: handle
    fn handle(&mut self, ring: &mut IoUring, at: usize, result: i32) -> Result<()> {
        let place = &mut self.places[at];
        match place.step {
            Step::Close => return self.add_next_file(ring, at),
            _ if result < 0 => self.results[place.nth] = Some(Err(-result)),
            Step::Stat if !is_regular(&place.statx) => {}
            Step::Stat => return self.add(ring, at, Step::Open),
            Step::Open => {
                place.fd = result;
                return self.add(ring, at, Step::Read);
            }
            Step::Read if result > 0 => {
                place.crc = crc32(place.crc, &place.part[..result as usize]);
                place.length += result as u64;
                return self.add(ring, at, Step::Read);
            }
            Step::Read => self.results[place.nth] = Some(Ok((place.crc, place.length))),
        }
        // This file is done with. If it is open, it has to be closed.
        match place.step {
            Step::Read => self.add(ring, at, Step::Close),
            _ => self.add_next_file(ring, at),
        }
    }
    // ANCHOR_END: handle

    fn print(&self, guess: bool, limit: u32) -> Result<()> {
        let mut output = io::stdout().lock();
        let (mut files, mut bytes, mut failed) = (0, 0, 0);
        for (path, result) in self.paths.iter().zip(&self.results) {
            match result {
                Some(Ok((crc, length))) => {
                    files += 1;
                    bytes += length;
                    write!(output, "{crc:08x} {length:>9} ")?;
                    output.write_all(path.as_os_str().as_bytes())?;
                    output.write_all(b"\n")?;
                }
                Some(Err(errno)) => {
                    failed += 1;
                    eprintln!("{}: {}", path.display(), io::Error::from_raw_os_error(*errno));
                }
                None => {}
            }
        }
        output.flush()?;
        eprintln!("{files} files, {bytes} bytes");
        eprintln!("operation  in the submit  later");
        for (step, [at_once, later]) in STEPS.iter().zip(self.done) {
            eprintln!("{step:<9} {at_once:>14} {later:>6}");
        }
        eprintln!("at most {} workers of {limit} in each pool", self.most_workers);
        if guess {
            eprintln!(
                "this kernel has no DEFER_TASKRUN: what a worker was quick with counts as in the submit"
            );
        }
        if failed > 0 {
            bail!("{} could not be read", several(failed, "file"));
        }
        Ok(())
    }
}

fn next_completion(ring: &mut IoUring) -> Option<io_uring::cqueue::Entry> {
    ring.completion().next()
}

/// A signal may interrupt an enter.
fn retry(enter: impl Fn() -> io::Result<usize>) -> Result<()> {
    loop {
        match enter() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Whether STATX found a regular file: anything else may have no end, or wait for a peer.
fn is_regular(statx: &MaybeUninit<libc::statx>) -> bool {
    // SAFETY: STATX has succeeded, so the kernel has written it.
    let mode = unsafe { statx.assume_init_ref() }.stx_mode;
    u32::from(mode) & libc::S_IFMT == libc::S_IFREG
}

/// CRC-32 of what went before and these bytes, as in zlib: `cksum -a crc32b` has the same.
fn crc32(before: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut crc = index as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
                bit += 1;
            }
            table[index] = crc;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!before, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}
