//! What is in the file of `durable_log`, and what of it can be believed. While it is opened,
//! nothing else goes on, so no ring is needed here: plain calls do.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use common::environment::Refusal;
use nix::fcntl::{Flock, FlockArg};

/// What a log begins with, so that no other file is taken for one and cut.
const MAGIC: &[u8; 8] = b"ringlog\n";
/// Before each record: its length and its checksum, both little-endian.
const HEAD: usize = 8;
/// The longest record.
const LONGEST: usize = 1 << 20;
/// The most that is added to a batch at once.
pub const INPUT: usize = 64 << 10;
/// From here on nothing is added to a batch.
pub const FULL: usize = 1 << 20;
/// No batch is larger: the last input adds at most a head for each byte, and a long record's start.
const LARGEST: usize = FULL + LONGEST + INPUT * (HEAD + 1);

/// Records that go to the disk together.
#[derive(Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub records: u64,
}

impl Batch {
    /// Adds each line of `input`. `rest` begins the first line, and gets what is no whole line.
    pub fn add_lines(&mut self, rest: &mut Vec<u8>, input: &[u8]) -> Result<()> {
        for part in input.split_inclusive(|byte| *byte == b'\n') {
            rest.extend_from_slice(part);
            if rest.len() > LONGEST {
                bail!("a line is longer than {LONGEST} bytes; nothing of it is in the log");
            }
            if part.ends_with(b"\n") {
                rest.pop();
                self.add(rest);
                rest.clear();
            }
        }
        Ok(())
    }

    pub fn add(&mut self, record: &[u8]) {
        let length = (record.len() as u32).to_le_bytes();
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(&checksum(&[&length, record]).to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.records += 1;
    }
}

/// The record at the beginning of `bytes`, if all of it is there as it was written.
fn first_record(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let record = rest.get(..u32::from_le_bytes(*length) as usize)?;
    (checksum(&[length, record]) == u32::from_le_bytes(*sum)).then_some(record)
}

/// CRC-32, as in zlib and Ethernet. The length is in it: a tail of zeros is no record.
fn checksum(parts: &[&[u8]]) -> u32 {
    let mut crc = !0_u32;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A log that was opened: what it holds is on the disk.
pub struct Opened {
    pub file: Flock<File>,
    /// Where the next record goes.
    pub end: usize,
    pub records: u64,
    /// The length of the torn tail that was cut off.
    pub cut: usize,
}

// ANCHOR: open
pub fn open(path: &Path) -> Result<Opened> {
    let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = lock(open.with_context(|| path.display().to_string())?, path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let (mut end, records) = whole_records(&bytes, path)?;
    let cut = bytes.len() - end;
    if cut > 0 {
        file.set_len(end as u64).context("cutting off the torn tail")?;
    }
    if end == 0 {
        file.write_all_at(MAGIC, 0)?;
        end = MAGIC.len();
        // The name of a new file is in its folder, which is flushed by itself.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all().context("fsync of the folder")?;
    }
    // A program that was killed may have left records that no FSYNC has followed.
    file.sync_all().context("fsync")?;
    Ok(Opened { end, records: records.len() as u64, cut, file })
}
// ANCHOR_END: open

/// Prints each record, and changes nothing.
pub fn print(path: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let (end, records) = whole_records(&bytes, path)?;
    let mut output = io::stdout().lock();
    for record in records {
        output.write_all(&[record, b"\n"].concat())?;
    }
    if end < bytes.len() {
        eprintln!("a torn tail of {} bytes follows", bytes.len() - end);
    }
    Ok(())
}

/// Where the whole records end, and the records. An error if more follows than a kill can leave.
fn whole_records<'a>(bytes: &'a [u8], path: &Path) -> Result<(usize, Vec<&'a [u8]>)> {
    if MAGIC.starts_with(bytes) && bytes.len() < MAGIC.len() {
        return Ok((0, Vec::new())); // A new file, or one whose first write was cut short.
    }
    if !bytes.starts_with(MAGIC) {
        bail!(Refusal {
            what: format!("{} is not a log of this program", path.display()),
            why: "it does not begin as one; it was not changed".into(),
            remedy: "the name of a new file".into(),
        });
    }
    let (mut end, mut records) = (MAGIC.len(), Vec::new());
    while let Some(record) = first_record(&bytes[end..]) {
        records.push(record);
        end += HEAD + record.len();
    }
    if bytes.len() - end > LARGEST {
        bail!(Refusal {
            what: format!("{} is damaged at byte {end}", path.display()),
            why: "more follows than a batch can be, so this is no torn tail; it was not cut".into(),
            remedy: format!("cp it, then `truncate -s {end}` to give up what follows"),
        });
    }
    Ok((end, records))
}

/// One program at a time. A program that was killed holds the lock as long as an operation of it
/// runs in the kernel, so this waits.
fn lock(file: File, path: &Path) -> Result<Flock<File>> {
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).or_else(|(file, _)| {
        eprintln!("{} is in use: waiting for the end of the other program", path.display());
        Flock::lock(file, FlockArg::LockExclusive)
    });
    locked.map_err(|(_, errno)| errno).with_context(|| format!("locking {}", path.display()))
}
