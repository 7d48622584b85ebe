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
//! How the file is opened, and what is in it, is in `log_file.rs`.
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
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::Flags;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, cqueue, opcode};
use nix::fcntl::Flock;
use serde::Serialize;
use serde_json::json;

use self::log_file::{Batch, FULL, INPUT};

mod log_file;

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
    if options.read {
        return log_file::print(&options.file);
    }
    let mut log = Log::open(options)?;
    log.serve()?;
    let Counts { records, commits, writes, short_writes } = log.counts;
    let text =
        format!("{records} records in {commits} commits, {writes} WRITE ({short_writes} short)");
    log.say(text, json!({"event": "summary", "counts": log.counts}))
}

#[derive(Clone, Copy, Default, Serialize)]
struct Counts {
    records: u64,
    commits: u64,
    writes: u64,
    short_writes: u64,
}

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

impl Log {
    fn open(options: &Options) -> Result<Log> {
        let ring = ring::build_best(&RingOptions::default(), 8)?.0;
        let found = log_file::open(&options.file)?;
        let log = Log {
            ring,
            file: found.file,
            end: found.end as u64,
            last: found.records,
            filling: forever(Batch::default()),
            writing: forever(Batch::default()),
            written: 0,
            input: forever([0; INPUT]),
            reading: false,
            ended: false,
            line: Vec::new(),
            counts: Counts::default(),
            json: options.json,
        };
        let (last, cut) = (found.records, found.cut);
        let text = format!("{last} records are there; cut off a torn tail of {cut} bytes");
        log.say(text, json!({"event": "opened", "records": last, "cut": cut}))?;
        Ok(log)
    }

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

    fn add_read(&mut self) -> Result<()> {
        let input = Fd(io::stdin().as_raw_fd());
        // At -1: at the input's own position. A pipe has no other.
        let read = opcode::Read::new(input, self.input.as_mut_ptr(), INPUT as u32).offset(u64::MAX);
        self.reading = true;
        // SAFETY: `input` is never freed, and not used before the completion.
        Ok(unsafe { self.ring.submission().push(&read.build().user_data(READ)) }?)
    }

    fn handle_read(&mut self, result: i32) -> Result<()> {
        self.reading = false;
        let length = check(result).context("READ of standard input")?;
        self.ended = length == 0;
        self.filling.add_lines(&mut self.line, &self.input[..length])?;
        if self.ended && !self.line.is_empty() {
            self.filling.add(&self.line);
        }
        Ok(())
    }

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
        check(result).context("FSYNC failed: what is not acknowledged may be lost")?;
        let (first, last) = (self.last + 1, self.last + self.writing.records);
        self.counts.records += self.writing.records;
        self.counts.commits += 1;
        self.end += self.writing.bytes.len() as u64;
        self.last = last;
        self.written = 0;
        self.writing.bytes.clear();
        self.writing.records = 0;
        let event = json!({"event": "acknowledged", "first": first, "last": last});
        self.say(format!("records {first} to {last} are on the disk"), event)
    }
    // ANCHOR_END: commit

    /// An acknowledgement must not be dropped: this waits for a slow reader.
    fn say(&self, text: String, event: serde_json::Value) -> Result<()> {
        let line = if self.json { event.to_string() } else { text };
        Ok(writeln!(io::stdout(), "{line}")?)
    }
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
