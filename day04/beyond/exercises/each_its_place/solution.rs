//! each_its_place: four writes at once, each at its own offset.
//!
//! `each_its_place PATH A B C D` writes four records to a file, one behind the
//! other, by one submit and without a link.
//!
//! Run it:
//! `cargo run --bin each_its_place -- /tmp/records one two three four`

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    ensure!(args.len() == 5, "usage: each_its_place PATH A B C D");
    let file = File::create(&args[0])?;
    write_all(&mut IoUring::new(8)?, &file, &args[1..])
}

/// Writes the records one behind the other, all in one submit.
fn write_all(
    ring: &mut IoUring,
    file: &File,
    records: &[String],
) -> Result<()> {
    let fd = types::Fd(file.as_raw_fd());
    let mut offset = 0;
    for (tag, record) in (1..).zip(records) {
        let entry =
            opcode::Write::new(fd, record.as_ptr(), record.len() as u32)
                .offset(offset)
                // ^^^^^^^^^^^^ where the record belongs, whichever write runs
                //              first; -1 would be the file's own position,
                //              which all four share
                .build()
                .user_data(tag);
        offset += record.len() as u64;

        // SAFETY: the kernel reads the record until the write's completion. The
        // caller owns it, and we return after all four.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit_and_wait(records.len())?;

    for completion in ring.completion() {
        let record = &records[completion.user_data() as usize - 1];
        ensure!(
            completion.result() == record.len() as i32,
            // ^^^^^^^^^^^^^^^^ an error is a negative number, and a short write
            //                  a smaller one
            "{record} was not written: {}",
            completion.result()
        );
    }
    Ok(())
}
