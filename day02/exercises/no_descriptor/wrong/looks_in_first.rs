// expect: E-NOT-THROUGH-RING
// why: Opens the file by a system call first, to see whether it is there.

use std::env;
use std::ffi::CString;
use std::io;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, squeue, types};

fn main() -> Result<()> {
    let path = CString::new(env::args().nth(1).context("usage: no_descriptor PATH")?)?;
    let mut ring = IoUring::new(8)?;
    let mut buffer = vec![0; 4096];
    let read = read_file(&mut ring, &path, &mut buffer)?;
    print!("{}", String::from_utf8_lossy(&buffer[..read]));
    Ok(())
}

/// Reads the beginning of a file into `buffer`. Returns how many bytes that are.
fn read_file(ring: &mut IoUring, path: &CString, buffer: &mut [u8]) -> Result<usize> {
    drop(std::fs::File::open(path.to_str()?)?);
    ring.submitter().register_files_sparse(4)?;
    let slot = 0;
    let target = types::DestinationSlot::try_from_slot_target(slot).ok().context("no slot")?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
        .file_index(Some(target))
        .build();
    submit(ring, &open)?;

    let file = types::Fixed(slot);
    let read = opcode::Read::new(file, buffer.as_mut_ptr(), buffer.len() as u32).build();
    let read = submit(ring, &read)?;

    submit(ring, &opcode::Close::new(file).build())?;
    Ok(read as usize)
}

/// Submits one entry, waits, and returns its result, unless that is an error.
fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> Result<i32> {
    // SAFETY: path and buffer live in `main`, and we return after the completion.
    unsafe { ring.submission().push(entry) }?;
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("a wait without a completion")?.result();
    ensure!(result >= 0, "an operation failed: {}", io::Error::from_raw_os_error(-result));
    Ok(result)
}
