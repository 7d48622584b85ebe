//! no_descriptor: read a file without a descriptor.
//!
//! `no_descriptor PATH` opens the file into a slot of the ring's table, reads
//! it and closes it, all through the ring, and prints its content. The process
//! gets no descriptor.
//!
//! Run it: `cargo run --bin no_descriptor -- /etc/hostname`

use std::env;
use std::ffi::CString;
use std::io;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, squeue, types};

fn main() -> Result<()> {
    let path =
        CString::new(env::args().nth(1).context("usage: no_descriptor PATH")?)?;
    let mut ring = IoUring::new(8)?;
    let mut buffer = vec![0; 4096];
    let read = read_file(&mut ring, &path, &mut buffer)?;
    print!("{}", String::from_utf8_lossy(&buffer[..read]));
    Ok(())
}

/// Reads the beginning of a file into `buffer`. Returns the number of bytes.
fn read_file(
    ring: &mut IoUring,
    path: &CString,
    buffer: &mut [u8],
) -> Result<usize> {
    ring.submitter().register_files_sparse(4)?;
    //               ^^^^^^^^^^^^^^^^^^^^^ four empty slots (5.19); the table
    //                                     goes with the ring
    let slot = 0;
    let target = types::DestinationSlot::try_from_slot_target(slot)
        .ok()
        .context("no slot")?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
        .file_index(Some(target))
        // ^^^^^^^^ where to put the file. We chose the slot, so the result is
        //          0, not its number
        .build();
    submit(ring, &open)?;

    let file = types::Fixed(slot);
    //         ^^^^^^^^^^^^ sets IOSQE_FIXED_FILE: the number is a slot's.
    //                      `types::Fd(0)` would be the standard input
    let read =
        opcode::Read::new(file, buffer.as_mut_ptr(), buffer.len() as u32)
            .build();
    let read = submit(ring, &read)?;

    submit(ring, &opcode::Close::new(file).build())?;
    //                               ^^^^ close(2) cannot close a slot, only
    //                                    this can
    Ok(read as usize)
}

/// Submits one entry, waits, and returns its result, unless that is an error.
fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> Result<i32> {
    // SAFETY: path and buffer live in `main`, and we return after the
    // completion.
    unsafe { ring.submission().push(entry) }?;
    ring.submit_and_wait(1)?;
    let result = ring
        .completion()
        .next()
        .context("a wait without a completion")?
        .result();
    ensure!(
        result >= 0,
        "an operation failed: {}",
        io::Error::from_raw_os_error(-result)
    );
    Ok(result)
}
