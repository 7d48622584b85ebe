//! no_leak: no file stays in its slot.
//!
//! `no_leak FILE…` prints the first line of each file. One chain opens a file
//! into a slot, reads it, and closes the slot.
//!
//! Run it: `cargo run --bin no_leak -- Cargo.toml /etc/hostname`

use std::env;
use std::ffi::CString;
use std::io;

use anyhow::{Result, bail, ensure};
use io_uring::squeue::Flags;
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, opcode};

const SLOTS: u32 = 8;
const LENGTH: usize = 4096;

fn main() -> Result<()> {
    let names = env::args().skip(1).map(CString::new);
    let names: Vec<CString> = names.collect::<Result<_, _>>()?;
    ensure!(names.len() <= SLOTS as usize, "at most {SLOTS} files");
    let mut ring = IoUring::new(32)?;
    ring.submitter().register_files_sparse(SLOTS)?;
    let mut buffers = vec![[0; LENGTH]; names.len()];
    let failed = read_all(&mut ring, &names, &mut buffers)?;
    for buffer in &buffers {
        let line = buffer.split(|byte| *byte == b'\n' || *byte == 0).next();
        println!("{}", String::from_utf8_lossy(line.unwrap_or_default()));
    }
    if failed > 0 {
        bail!("{failed} files could not be read");
    }
    Ok(())
}

/// Reads each file into its buffer, and returns how many failed.
fn read_all(
    ring: &mut IoUring,
    names: &[CString],
    buffers: &mut [[u8; LENGTH]],
) -> Result<usize> {
    for ((slot, name), buffer) in (0..).zip(names).zip(buffers) {
        let into = DestinationSlot::try_from_slot_target(slot).ok();
        let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), name.as_ptr())
            .file_index(into)
            .build()
            .flags(Flags::IO_LINK);
        //         ^^^^^^^^^^^^^^ without a file: no READ, and no CLOSE
        let read =
            opcode::Read::new(Fixed(slot), buffer.as_mut_ptr(), LENGTH as u32)
                .build()
                .flags(Flags::IO_HARDLINK);
        //             ^^^^^^^^^^^^^^^^^^ the CLOSE runs after any result of
        //                                this READ; a short READ breaks a soft
        //                                link
        let close = opcode::Close::new(Fixed(slot)).build();
        let chain = [open, read, close];
        let tagged = chain.map(|entry| entry.user_data(u64::from(slot)));
        // SAFETY: names and buffers belong to the caller, and we return when
        // all entries have completed.
        unsafe { ring.submission().push_multiple(&tagged) }?;
    }
    let entries = 3 * names.len();
    ring.submit_and_wait(entries)?;

    let mut failed = vec![false; names.len()];
    for completion in ring.completion() {
        let result = completion.result();
        if result < 0 && result != -libc::ECANCELED {
            //           ^^^^^^^^^^^^^^^^^^^^^^^^^^ dropped behind an OPENAT
            //                                    that failed, which says why
            let name = &names[completion.user_data() as usize];
            let error = io::Error::from_raw_os_error(-result);
            eprintln!("{}: {error}", name.to_string_lossy());
            failed[completion.user_data() as usize] = true;
        }
    }
    Ok(failed.iter().filter(|&&failed| failed).count())
}
