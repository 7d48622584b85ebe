//! only_what_it_uses: a ring that takes only what it is used for.
//!
//! `only_what_it_uses TEXT PATH` lends a ring to a guest, which may write TEXT
//! and do nothing else. The ring of this starter allows everything.
//!
//! Run it: `touch /tmp/precious; cargo run --bin only_what_it_uses -- hello
//! /tmp/precious`

use std::env;
use std::ffi::{CStr, CString};

use anyhow::{Context, Result, ensure};
use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    ensure!(args.len() == 2, "usage: only_what_it_uses TEXT PATH");
    let (text, path) = (format!("{}\n", args[0]), CString::new(&*args[1])?);
    guest(&mut locked_ring()?, &text, &path)
}

/// A ring that allows WRITE, and nothing else.
fn locked_ring() -> Result<IoUring> {
    // TODO: set it up disabled, give it its list, and enable it.
    Ok(IoUring::new(8)?)
}

/// The guest. Leave it as it is.
fn guest(ring: &mut IoUring, text: &str, path: &CStr) -> Result<()> {
    let stdout = types::Fd(1);
    let write =
        opcode::Write::new(stdout, text.as_ptr(), text.len() as u32).build();
    let here = types::Fd(libc::AT_FDCWD);
    let remove = opcode::UnlinkAt::new(here, path.as_ptr()).build();
    let jobs = [write.clone(), remove, write.flags(Flags::ASYNC)];
    for (tag, job) in (1..).zip(jobs) {
        // SAFETY: text and path live until we return, after the completion.
        unsafe { ring.submission().push(&job.user_data(tag)) }?;
        ring.submit_and_wait(1)?;
        let completion = ring.completion().next().context("no completion")?;
        eprintln!("job {tag}: {}", completion.result());
    }
    eprintln!("a file: {:?}", ring.submitter().register_files(&[1]));
    Ok(())
}
