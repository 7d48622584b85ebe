//! What is in the file of `durable_log`, and what of it can be believed. No ring is needed here.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use common::environment::Refusal;
use nix::fcntl::{Flock, FlockArg};

/// What a log begins with, so that no other file is taken for one and cut.
pub const MAGIC: &[u8; 8] = b"ringlog\n";
/// Before each record: its length and its checksum, both little-endian.
pub const HEAD: usize = 8;
/// The longest record.
pub const LONGEST: usize = 1 << 20;

/// Records that go to the disk together.
#[derive(Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub records: u64,
}

// ANCHOR: record
impl Batch {
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
// ANCHOR_END: record

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

// ANCHOR: whole
/// Where the whole records end, and the records. An error if more than `tail` bytes follow, the
/// most that a kill can leave there.
pub fn whole_records<'a>(
    bytes: &'a [u8],
    path: &Path,
    tail: usize,
) -> Result<(usize, Vec<&'a [u8]>)> {
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
    if bytes.len() - end > tail {
        bail!(Refusal {
            what: format!("{} is damaged at byte {end}", path.display()),
            why: "more follows than a batch can be, so this is no torn tail; it was not cut".into(),
            remedy: format!("cp it, then `truncate -s {end}` to give up what follows"),
        });
    }
    Ok((end, records))
}
// ANCHOR_END: whole

/// One program at a time. A program that was killed holds the lock as long as an operation of it
/// runs in the kernel, so this waits.
pub fn lock(file: File, path: &Path) -> Result<Flock<File>> {
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).or_else(|(file, _)| {
        eprintln!("{} is in use: waiting for the end of the other program", path.display());
        Flock::lock(file, FlockArg::LockExclusive)
    });
    locked.map_err(|(_, errno)| errno).with_context(|| format!("locking {}", path.display()))
}
