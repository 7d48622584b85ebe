//! IORING_ENTER_NO_IOWAIT: do not count this wait as I/O wait.
//!
//! Since 6.15. liburing: `io_uring_set_iowait`; crate: `submit_with_args_and_flags`.
//! A thread that waits for completions with entries in flight counts as waiting for a disk: `top`
//! shows the CPU in "wa" although it is idle, and the CPU may not sleep deeply. For sockets and
//! timers that is wrong, and this flag prevents it. Results stay the same.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::{fs, thread};

use atlas::{Entry, Page, Result};
use io_uring::types::{Fd, SubmitArgs};
use io_uring::{EnterFlags, IoUring, opcode};

use super::LATER;

pub const ENTRY: Entry = Entry { shows: &["IORING_ENTER_NO_IOWAIT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    if !ring.params().is_feature_no_iowait() {
        return page.lacks("IORING_ENTER_NO_IOWAIT");
    }
    let (socket, mut peer) = UnixStream::pair()?;
    let mut wait = |page: &mut Page, asked, flags, looks| -> Result<bool> {
        let poll = opcode::PollAdd::new(Fd(socket.as_raw_fd()), libc::POLLIN as u32).build();
        // SAFETY: a poll points at no memory.
        unsafe { ring.submission().push(&poll) }?;
        thread::scope(|scope| {
            // Looks while this thread waits, and then lets it go on.
            let observer = scope.spawn(|| {
                let seen = (0..looks).any(|_| waiting_for_io() > 0);
                peer.write_all(b"1").map(|()| seen)
            });
            let args = SubmitArgs::new().timespec(&LATER);
            page.call(asked, ring.submitter().submit_with_args_and_flags(1, &args, flags))?;
            Ok(observer.join().expect("it does not panic")?)
        })
    };
    let seen = wait(page, "wait for a socket", EnterFlags::empty(), 100_000)?;
    page.saw("/proc/stat counts this thread as waiting for I/O", seen)?;
    let seen = wait(page, "wait for a socket with NO_IOWAIT", EnterFlags::NO_IOWAIT, 500)?;
    // Other programs can wait for a disk.
    page.note("threads that wait for I/O meanwhile", if seen { "some" } else { "none" });
    Ok(())
}
// ANCHOR_END: show

/// How many threads of the machine wait for I/O, by `/proc/stat`.
fn waiting_for_io() -> u32 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let number = stat.lines().find_map(|line| line.strip_prefix("procs_blocked "));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
