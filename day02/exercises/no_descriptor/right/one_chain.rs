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

/// Reads the beginning of a file into `buffer`. Returns how many bytes that are.
fn read_file(
    ring: &mut IoUring,
    path: &CString,
    buffer: &mut [u8],
) -> Result<usize> {
    ring.submitter().register_files_sparse(4)?;
    let slot = 0;
    let target = types::DestinationSlot::try_from_slot_target(slot)
        .ok()
        .context("no slot")?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
        .file_index(Some(target))
        .build()
        .flags(squeue::Flags::IO_LINK);

    let file = types::Fixed(slot);
    let read =
        opcode::Read::new(file, buffer.as_mut_ptr(), buffer.len() as u32)
            .build()
            .user_data(1)
            .flags(squeue::Flags::IO_HARDLINK);

    let close = opcode::Close::new(file).build().user_data(2);
    for entry in [&open, &read, &close] {
        // SAFETY: path and buffer live in `main`, and we return after the completions.
        unsafe { ring.submission().push(entry) }?;
    }
    ring.submit_and_wait(3)?;
    let mut results = [0; 3];
    for completion in ring.completion() {
        results[completion.user_data() as usize] = completion.result();
    }
    ensure!(results[1] >= 0, "{}", io::Error::from_raw_os_error(-results[1]));
    Ok(results[1] as usize)
}
