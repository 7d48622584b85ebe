//! in_order: three writes, one after the other, or not at all.
//!
//! `in_order PATH ONE TWO THREE` appends three pieces to a file: each after the
//! one before it, and only if that one was written.
//!
//! Run it: `cargo run --bin in_order -- /tmp/pieces one two three`

use std::env;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use io_uring::{IoUring, opcode, squeue, types};

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    ensure!(args.len() == 4, "usage: in_order PATH ONE TWO THREE");
    let file = OpenOptions::new().append(true).open(&args[0])?;
    let results = append(&mut IoUring::new(8)?, &file, &args[1..])?;

    let mut complete = true;
    for (piece, result) in args[1..].iter().zip(results) {
        let written = result == piece.len() as i32;
        complete &= written;
        let answer = match result {
            _ if written => "written",
            result if result == -libc::ECANCELED => "not tried",
            //                   ^^^^^^^^^^^^^^^ a cancelled entry completes
            //                                   too: three entries, three
            //                                   completions
            _ => "failed",
        };
        println!("{answer}");
    }
    ensure!(complete, "the file is not complete");
    Ok(())
}

/// Appends the pieces to the file. Returns the result of each.
fn append(
    ring: &mut IoUring,
    file: &File,
    pieces: &[String],
) -> Result<Vec<i32>> {
    for (index, piece) in (0..).zip(pieces) {
        let (address, len) = (piece.as_ptr(), piece.len() as u32);
        let last = index + 1 == pieces.len() as u64;
        let link =
            if last { squeue::Flags::empty() } else { squeue::Flags::IO_LINK };
        //            ^^^^^^^^^^^^^^^^^^^^^^ links to the next entry; the last
        //                                   one has no next one
        let entry =
            opcode::Write::new(types::Fd(file.as_raw_fd()), address, len)
                .offset(u64::MAX)
                .build()
                .user_data(index)
                .flags(link);

        // SAFETY: the kernel reads the piece until its completion; the caller
        // owns it, and we return after that.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit_and_wait(pieces.len())?;
    // ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ one submit for the whole chain: a link
    //                                 ends where the submit ends

    let mut results = vec![0; pieces.len()];
    for completion in ring.completion() {
        results[completion.user_data() as usize] = completion.result();
    }
    Ok(results)
}
