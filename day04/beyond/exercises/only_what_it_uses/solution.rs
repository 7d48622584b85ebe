//! only_what_it_uses: a ring that takes only what it is used for.
//!
//! `only_what_it_uses TEXT PATH` lends a ring to a guest, who shall write TEXT
//! and do nothing else.
//!
//! Run it: `touch /tmp/precious; cargo run --bin only_what_it_uses -- hello
//! /tmp/precious`

use std::env;
use std::ffi::{CStr, CString};

use anyhow::{Context, Result, ensure};
use io_uring::register::Restriction;
use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode, types};

/// `IORING_REGISTER_PROBE` (`linux/io_uring.h`)
const REGISTER_PROBE: u8 = 8;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    ensure!(args.len() == 2, "usage: only_what_it_uses TEXT PATH");
    let (text, path) = (format!("{}\n", args[0]), CString::new(&*args[1])?);
    guest(&mut locked_ring()?, &text, &path)
}

/// A ring that allows WRITE, and nothing else.
fn locked_ring() -> Result<IoUring> {
    let ring: IoUring = IoUring::builder().setup_r_disabled().build(8)?;
    //                                     ^^^^^^^^^^^^^^^^ only a disabled ring
    //                                                      takes a list
    ring.submitter().register_restrictions(&mut [
        Restriction::sqe_op(opcode::Write::CODE),
        Restriction::register_op(REGISTER_PROBE),
        //           ^^^^^^^^^^^ so that all other calls are refused, on a new
        //           kernel as well
    ])?;
    ring.submitter().register_enable_rings()?;
    //               ^^^^^^^^^^^^^^^^^^^^^ the list takes effect from here
    Ok(ring)
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
