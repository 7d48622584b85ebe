//! FEAT_RW_CUR_POS: offset -1 means the file's own position.
//!
//! Since 5.6. READ and WRITE with offset -1 do as read(2) and write(2): they use the position, and
//! move it. With any other offset they do as pread(2), and leave it. The crate's builders have
//! offset 0: the start of the file, each time.

use std::fs;
use std::io::Seek;
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::{opcode, squeue, types};

use super::ring_with;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_RW_CUR_POS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_RW_CUR_POS";
    let has = |params: &io_uring::Parameters| params.is_feature_rw_cur_pos();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let scratch = page.scratch()?;
    fs::write(scratch.path("letters"), "abcdef")?;
    let mut file = fs::File::open(scratch.path("letters"))?;
    let mut bytes = [0; 3];
    let (fd, address) = (types::Fd(file.as_raw_fd()), bytes.as_mut_ptr());
    let read = |offset: i64| -> squeue::Entry {
        opcode::Read::new(fd, address, 3).offset(offset as u64).build()
    };
    for expected in [b"abc", b"def"] {
        // SAFETY: here and below, `bytes` is looked at when the read has completed.
        unsafe { page.ask("READ of 3 bytes, offset -1", &mut ring, read(-1)) }?;
        page.saw(
            &format!("it read {:?}", expected.escape_ascii().to_string()),
            bytes == *expected,
        )?;
    }
    page.saw("the position is 6", file.stream_position()? == 6)?;
    for _ in 0..2 {
        // SAFETY: as above.
        unsafe { page.ask("READ of 3 bytes, offset 0", &mut ring, read(0)) }?;
        page.saw("it read \"abc\": the mistake, when the next were meant", bytes == *b"abc")?;
    }
    page.saw("the position is 6 still", file.stream_position()? == 6)?;
    // SAFETY: as above.
    let answer = unsafe { page.ask("READ of 3 bytes, offset -1", &mut ring, read(-1)) }?;
    page.saw("0: the position is at the end", answer.result == 0)
}
// ANCHOR_END: show
