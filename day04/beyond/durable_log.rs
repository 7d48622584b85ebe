//! A log that lasts: what it acknowledges is on the disk, whatever happens to the program.
//!
//! ```text
//! (echo one; echo two) | cargo run -p day04 --example durable_log -- /tmp/my.log
//! cargo run -p day04 --example durable_log -- --read /tmp/my.log
//! ```
//!
//! Each line of standard input becomes a record. Several producers can share the pipe, as in
//! `(a & b) | durable_log FILE`; lines of up to 4096 bytes stay whole (`pipe(7)`). One thread
//! does everything, and the ring has three operations at most: a READ of standard input, and a
//! WRITE linked to an FSYNC. What is read while a batch is on its way to the disk becomes the
//! next batch. That is *group commit*: the slower the disk, the more records share an FSYNC.
//!
//! What it does not do:
//! - It trusts the disk: one that lies about its cache loses what it was asked to keep.
//! - A failed FSYNC ends it. The kernel may have dropped the pages, so asking again proves nothing.
//! - It reads the whole log into memory when it starts, and the log only grows.
//! - It takes a record that was damaged later for a torn tail, if it is among the last 2.6 MB, and
//!   cuts it off with all behind it. Before that it says where the damage is, and ends.
//! - A record may be there although it was never acknowledged. The producer may send it again.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem::swap;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::{self, Flags};
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, cqueue, opcode};
use nix::fcntl::Flock;
use serde::Serialize;
use serde_json::json;

use self::log_file::{Batch, HEAD, LONGEST, MAGIC, lock, whole_records};

mod log_file;

/// The most that one READ brings.
const INPUT: usize = 64 << 10;
/// From here on a batch takes no further input.
const FULL: usize = 1 << 20;
/// No batch is larger: one READ more adds at most a head for each byte, and a long record's start.
const LARGEST: usize = FULL + LONGEST + INPUT * (HEAD + 1);

const FAILED: &str = "WRITE failed: make room, and send again what is not acknowledged";

// `user_data` says what completed.
const READ: u64 = 1;
const WRITE: u64 = 2;
const FSYNC: u64 = 3;

/// Appends each line of standard input to a log, and says when it is on the disk
#[derive(Parser)]
struct Options {
    /// The log; it is made if it is not there
    file: PathBuf,

    /// Print the records instead, and change nothing
    #[arg(long)]
    read: bool,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let mut ring = ring::build_best(&RingOptions::default(), 8)?.0;
    if options.read {
        let file = File::open(&options.file).with_context(|| options.file.display().to_string())?;
        let bytes = read_back(&mut ring, &file)?;
        let (end, records) = whole_records(&bytes, &options.file, LARGEST)?;
        let mut output = io::stdout().lock();
        for record in records {
            output.write_all(&[record, b"\n"].concat())?;
        }
        if end < bytes.len() {
            eprintln!("a torn tail of {} bytes follows", bytes.len() - end);
        }
        return Ok(());
    }
    let mut log = Log::open(ring, options)?;
    log.serve()?;
    let Counts { records, commits, writes, short_writes, fsyncs } = log.counts;
    let text = format!(
        "{records} records in {commits} commits: {writes} WRITE ({short_writes} short), {fsyncs} FSYNC"
    );
    log.say(format_args!("{text}"), json!({"event": "summary", "counts": log.counts}))
}

#[derive(Clone, Copy, Default, Serialize)]
struct Counts {
    records: u64,
    commits: u64,
    writes: u64,
    short_writes: u64,
    /// Those that ran; the two of the start among them.
    fsyncs: u64,
}

// ANCHOR: log
struct Log {
    ring: IoUring,
    file: Flock<File>,
    /// Where the batch on its way begins. All before it is on the disk.
    end: u64,
    /// The number of the last record before `end`.
    last: u64,
    /// Ours: records are added to it.
    filling: &'static mut Batch,
    /// The kernel's from `add_commit` to the completion of its FSYNC, if it has records.
    writing: &'static mut Batch,
    /// How much of `writing` is written.
    written: usize,
    /// The kernel's while `reading`.
    input: &'static mut [u8; INPUT],
    reading: bool,
    /// Standard input has ended.
    ended: bool,
    /// The beginning of a record whose end has not been read.
    line: Vec<u8>,
    counts: Counts,
    json: bool,
}
// ANCHOR_END: log

impl Log {
    // ANCHOR: open
    fn open(mut ring: IoUring, options: &Options) -> Result<Log> {
        let path = &options.file;
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = lock(open.with_context(|| path.display().to_string())?, path)?;
        let bytes = read_back(&mut ring, &file)?;
        let (end, records) = whole_records(&bytes, path, LARGEST)?;
        let last = records.len() as u64;
        let cut = bytes.len() - end;
        if cut > 0 {
            file.set_len(end as u64).context("cutting off the torn tail")?;
        }
        let filling = forever(Batch::default());
        let mut counts = Counts { fsyncs: 1, ..Counts::default() };
        if end == 0 {
            filling.bytes.extend_from_slice(MAGIC);
            // The name of a new file is in its folder, which is flushed by itself.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = File::open(folder.unwrap_or(Path::new(".")))?;
            complete(&mut ring, opcode::Fsync::new(Fd(folder.as_raw_fd())).build())
                .context("FSYNC of the folder")?;
            counts.fsyncs += 1;
        }
        // A program that was killed may have left records that no FSYNC has followed.
        complete(&mut ring, opcode::Fsync::new(Fd(file.as_raw_fd())).build()).context("FSYNC")?;
        let log = Log {
            ring,
            file,
            end: end as u64,
            last,
            filling,
            writing: forever(Batch::default()),
            written: 0,
            input: forever([0; INPUT]),
            reading: false,
            ended: false,
            line: Vec::new(),
            counts,
            json: options.json,
        };
        let text = format!("{last} records are there; cut off a torn tail of {cut} bytes");
        log.say(format_args!("{text}"), json!({"event": "opened", "records": last, "cut": cut}))?;
        Ok(log)
    }
    // ANCHOR_END: open

    // ANCHOR: serve
    fn serve(&mut self) -> Result<()> {
        loop {
            if self.writing.records == 0 && self.filling.records > 0 {
                swap(&mut self.filling, &mut self.writing);
                self.add_commit()?;
            }
            if !self.reading && !self.ended && self.filling.bytes.len() < FULL {
                self.add_read()?;
            }
            if !self.reading && self.writing.records == 0 {
                return Ok(()); // The input has ended, and all of it is on the disk.
            }
            wait(&self.ring)?;
            while let Some(completion) = self.next_completion() {
                match completion.user_data() {
                    READ => self.handle_read(completion.result())?,
                    WRITE => self.handle_write(completion.result())?,
                    _ => self.handle_fsync(completion.result())?,
                }
            }
        }
    }
    // ANCHOR_END: serve

    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    // ANCHOR: read
    fn add_read(&mut self) -> Result<()> {
        let input = Fd(io::stdin().as_raw_fd());
        // At -1: where the input's own position is. A pipe has no other.
        let read = opcode::Read::new(input, self.input.as_mut_ptr(), INPUT as u32).offset(u64::MAX);
        self.reading = true;
        // SAFETY: `input` is never freed, and nobody looks at it before the completion.
        Ok(unsafe { self.ring.submission().push(&read.build().user_data(READ)) }?)
    }

    fn handle_read(&mut self, result: i32) -> Result<()> {
        self.reading = false;
        let length = check(result).context("READ of standard input")?;
        self.ended = length == 0;
        for part in self.input[..length].split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LONGEST {
                bail!("a line is longer than {LONGEST} bytes; nothing of it is in the log");
            }
            if part.ends_with(b"\n") {
                self.line.pop();
                self.filling.add(&self.line);
                self.line.clear();
            }
        }
        if self.ended && !self.line.is_empty() {
            self.filling.add(&self.line);
        }
        Ok(())
    }
    // ANCHOR_END: read

    // ANCHOR: commit
    /// What is not yet written of the batch, and behind it the FSYNC: one chain, one submit.
    fn add_commit(&mut self) -> Result<()> {
        let file = Fd(self.file.as_raw_fd());
        let rest = &self.writing.bytes[self.written..];
        let write = opcode::Write::new(file, rest.as_ptr(), rest.len() as u32)
            .offset(self.end + self.written as u64)
            .build()
            // The FSYNC starts when this has written all. A short write breaks the link, too.
            .flags(Flags::IO_LINK);
        // With DATASYNC the time of the last change may be old, but not the length.
        let fsync = opcode::Fsync::new(file).flags(FsyncFlags::DATASYNC).build();
        let chain = [write.user_data(WRITE), fsync.user_data(FSYNC)];
        // SAFETY: `writing` is never freed, and not changed before `handle_fsync`.
        Ok(unsafe { self.ring.submission().push_multiple(&chain) }?)
    }

    fn handle_write(&mut self, result: i32) -> Result<()> {
        let length = check(result).context(FAILED)?;
        if length == 0 {
            bail!("{FAILED}: it wrote nothing");
        }
        self.written += length;
        self.counts.writes += 1;
        self.counts.short_writes += u64::from(self.written < self.writing.bytes.len());
        Ok(())
    }

    fn handle_fsync(&mut self, result: i32) -> Result<()> {
        if result == -libc::ECANCELED {
            return self.add_commit(); // The write was short: now the rest of it.
        }
        check(result).context(
            "FSYNC failed: what is not acknowledged may be lost; the disk may be broken",
        )?;
        let (first, last) = (self.last + 1, self.last + self.writing.records);
        self.counts.records += self.writing.records;
        self.counts.commits += 1;
        self.counts.fsyncs += 1;
        self.end += self.writing.bytes.len() as u64;
        self.last = last;
        self.written = 0;
        self.writing.bytes.clear();
        self.writing.records = 0;
        let event = json!({"event": "acknowledged", "first": first, "last": last});
        self.say(format_args!("records {first} to {last} are on the disk"), event)
    }
    // ANCHOR_END: commit

    /// An acknowledgement must not be dropped: this waits for a slow reader.
    fn say(&self, text: std::fmt::Arguments<'_>, event: serde_json::Value) -> Result<()> {
        let mut output = io::stdout().lock();
        Ok(if self.json { writeln!(output, "{event}") } else { writeln!(output, "{text}") }?)
    }
}

// ANCHOR: read_back
/// The whole file, read through the ring. A short read is no end; only 0 is.
fn read_back(ring: &mut IoUring, file: &File) -> Result<Vec<u8>> {
    let part = forever([0_u8; INPUT]);
    let mut bytes = Vec::new();
    loop {
        let read = opcode::Read::new(Fd(file.as_raw_fd()), part.as_mut_ptr(), INPUT as u32)
            .offset(bytes.len() as u64);
        match complete(ring, read.build()).context("READ")? {
            0 => return Ok(bytes),
            length => bytes.extend_from_slice(&part[..length]),
        }
    }
}
// ANCHOR_END: read_back

/// Submits an entry and waits for its completion, while there is no other.
fn complete(ring: &mut IoUring, entry: squeue::Entry) -> Result<usize> {
    // SAFETY: an FSYNC names no memory. A READ is into `read_back`'s part, which is never freed.
    unsafe { ring.submission().push(&entry) }?;
    wait(ring)?;
    let completion = ring.completion().next().context("no completion")?;
    check(completion.result())
}

/// Submits what is queued, and waits for a completion. A signal may interrupt that.
fn wait(ring: &IoUring) -> Result<()> {
    while let Err(error) = ring.submit_and_wait(1) {
        if error.kind() != ErrorKind::Interrupted {
            return Err(error.into());
        }
    }
    Ok(())
}

/// A completion's result: bytes, or an error.
fn check(result: i32) -> Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result).into())
}
