//! Counts the lines of many files, as `wc -l` does. One chain opens a file, reads it and closes it.
//!
//! ```text
//! cargo run -p day04 --example count_lines -- README.md CONTRIBUTING.md
//! find book -name '*.md' | cargo run -p day04 --example count_lines
//! ```
//!
//! The file is opened into a slot of the ring's table, so the READ and the CLOSE can name it before
//! it is open. Many chains are under way at once, each in a slot of its own, and one call submits
//! all that are ready. A chain brings 64 KiB at most. The next chain of the file brings what
//! follows, until a READ brings nothing: a short READ is not the end.
//!
//! What it does not do:
//! - A file that is replaced between two chains is counted in part from one, in part from the other.
//! - It needs Linux 5.19. Before 5.18 the kernel looks a slot up when it takes the entry, and then
//!   the slot is still empty.

use std::ffi::{CStr, CString, OsString};
use std::io::{self, BufRead, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::environment::{self, Refusal};
use common::memory::forever;
use common::queues::Queues;
use common::ring::{self, RingOptions};
use io_uring::squeue::Flags;
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{cqueue, opcode};
use serde::Serialize;
use serde_json::json;

/// What one READ asks for.
const PIECE: usize = 64 << 10;

// `user_data` is one of these and, above the lowest byte, the number of the place.
const OPEN: u64 = 1;
const READ: u64 = 2;
const CLOSE: u64 = 3;

/// Counts the lines of files, many at a time
#[derive(Parser)]
struct Options {
    /// The files; without any, a name on each line of standard input
    files: Vec<OsString>,

    /// How many files are open at once, at most
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    slots: u32,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(Options::parse()))
}

fn run(options: Options) -> Result<()> {
    let mut ring = ring::build_best(&RingOptions::default(), 256)?.0;
    if !ring.params().is_feature_linked_file() {
        bail!(Refusal {
            what: "this kernel cannot read from a slot that the same chain fills".into(),
            why: "it looks the slot up when it takes the entry; that changed with Linux 5.18"
                .into(),
            remedy: "a newer kernel".into(),
        });
    }
    ring::register_slots(&ring.submitter(), options.slots)?;
    let names: Vec<Vec<u8>> = if options.files.is_empty() {
        io::stdin().lock().split(b'\n').collect::<Result<_, _>>().context("standard input")?
    } else {
        options.files.into_iter().map(OsStringExt::into_vec).collect()
    };
    let mut counter = Counter {
        queues: Queues::new(&mut ring),
        places: (0..options.slots).map(|_| Place::default()).collect(),
        pieces: forever(vec![[0; PIECE]; options.slots as usize]),
        free: (0..options.slots).rev().collect(),
        counts: Counts::default(),
        json: options.json,
    };
    counter.count(names)?;
    let Counts { files, lines, failed } = counter.counts;
    let text = format!("{lines} lines in {files} files, {failed} failed");
    counter.say(text, json!({"event": "summary", "counts": counter.counts}))?;
    if failed > 0 {
        bail!("{failed} of the files could not be read to the end");
    }
    Ok(())
}

#[derive(Default, Clone, Copy, Serialize)]
struct Counts {
    files: u64,
    lines: u64,
    failed: u64,
}

/// The state of a slot.
#[derive(Default)]
struct Place {
    name: &'static CStr,
    /// Where the next READ begins.
    offset: u64,
    lines: u64,
    /// The slot holds the file.
    open: bool,
    /// A READ has found nothing more.
    ended: bool,
    failure: Option<String>,
}

struct Counter<'ring> {
    queues: Queues<'ring>,
    /// One for each slot.
    places: Vec<Place>,
    /// One for each slot: the kernel's from `add_chain` to the completion of the CLOSE.
    pieces: &'static mut Vec<[u8; PIECE]>,
    /// The slots that hold no file and have no chain.
    free: Vec<u32>,
    counts: Counts,
    json: bool,
}

impl Counter<'_> {
    fn count(&mut self, names: Vec<Vec<u8>>) -> Result<()> {
        let mut names = names.into_iter();
        let mut under_way = 0;
        loop {
            while names.len() > 0 && !self.free.is_empty() {
                self.start(names.next().unwrap())?;
                under_way += 1;
            }
            if under_way == 0 && names.len() > 0 {
                bail!("no slot is free: each holds a file that was not closed");
            } else if under_way == 0 {
                return Ok(());
            }
            self.queues.submit_and_wait(1, None).context("waiting")?;
            while let Some(completion) = self.queues.next_completion() {
                let file_is_done = self.handle(&completion)?;
                under_way -= usize::from(file_is_done);
            }
        }
    }

    fn start(&mut self, name: Vec<u8>) -> Result<()> {
        let name = forever(CString::new(name).context("a name has a zero byte")?);
        let slot = self.free.pop().context("no slot is free")?;
        self.places[slot as usize] = Place { name, ..Place::default() };
        self.add_chain(slot)
    }

    // ANCHOR: chain
    fn add_chain(&mut self, slot: u32) -> Result<()> {
        let Place { name, offset, .. } = self.places[slot as usize];
        let piece = self.pieces[slot as usize].as_mut_ptr();
        let into = DestinationSlot::try_from_slot_target(slot).expect("clap keeps it small");
        let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), name.as_ptr())
            // A pipe without a writer must not keep the chain, and a kernel thread with it.
            .flags(libc::O_RDONLY | libc::O_NONBLOCK)
            .file_index(Some(into))
            .build()
            // Without a file there is nothing to read, and nothing to close.
            .flags(Flags::IO_LINK);
        let read = opcode::Read::new(Fixed(slot), piece, PIECE as u32)
            .offset(offset)
            .build()
            // The CLOSE runs whatever the result of the READ, and a short READ is the rule.
            .flags(Flags::IO_HARDLINK);
        let close = opcode::Close::new(Fixed(slot)).build();
        // A chain ends where a submit ends.
        self.queues.room_for(3)?;
        for (entry, op) in [(open, OPEN), (read, READ), (close, CLOSE)] {
            // SAFETY: names and pieces are never freed. The piece is not looked at before the
            // completion of the READ, and the slot is used by this chain alone.
            unsafe { self.queues.push(&entry.user_data(u64::from(slot) << 8 | op)) }?;
        }
        Ok(())
    }
    // ANCHOR_END: chain

    // ANCHOR: handle
    /// Whether that was the last of a file.
    fn handle(&mut self, completion: &cqueue::Entry) -> Result<bool> {
        let (slot, op) = ((completion.user_data() >> 8) as usize, completion.user_data() & 0xff);
        let (place, result) = (&mut self.places[slot], completion.result());
        let error = || io::Error::from_raw_os_error(-result);
        match op {
            OPEN if result < 0 => place.failure = Some(format!("OPENAT: {}", error())),
            OPEN => place.open = true,
            // The OPENAT has failed, and said why.
            READ | CLOSE if result == -libc::ECANCELED && !place.open => {}
            READ if result < 0 => place.failure = Some(format!("READ: {}", error())),
            READ => {
                let piece = &self.pieces[slot][..result as usize];
                place.lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
                place.offset += piece.len() as u64;
                place.ended = piece.is_empty();
            }
            _ if result < 0 => place.failure = Some(format!("CLOSE: {}", error())),
            _ => place.open = false,
        }
        // The CLOSE is the last of the chain, whatever its result.
        if op == CLOSE { self.after_chain(slot) } else { Ok(false) }
    }
    // ANCHOR_END: handle

    // ANCHOR: after
    fn after_chain(&mut self, slot: usize) -> Result<bool> {
        let place = &self.places[slot];
        if place.failure.is_none() && !place.ended {
            self.add_chain(slot as u32)?;
            return Ok(false);
        }
        if !place.open {
            self.free.push(slot as u32);
        }
        self.report(slot)?;
        Ok(true)
    }
    // ANCHOR_END: after

    fn report(&mut self, slot: usize) -> Result<()> {
        let Place { name, lines, failure, .. } = &self.places[slot];
        let name = name.to_string_lossy();
        if let Some(failure) = failure {
            self.counts.failed += 1;
            eprintln!("{name}: {failure}");
            return Ok(());
        }
        self.counts.files += 1;
        self.counts.lines += lines;
        let event = json!({"event": "counted", "file": name, "lines": lines});
        self.say(format!("{lines:>8} {name}"), event)
    }

    fn say(&self, text: String, event: serde_json::Value) -> Result<()> {
        let line = if self.json { event.to_string() } else { text };
        Ok(writeln!(io::stdout(), "{line}")?)
    }
}
